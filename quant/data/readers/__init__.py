"""One file a source of images and labels."""
