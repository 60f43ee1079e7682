"""What every package of `quant` needs: files, JSON, progress, quiet libraries."""
