"""What stands between this project and files, text and processes of others."""
