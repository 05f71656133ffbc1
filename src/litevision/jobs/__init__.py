"""Batch jobs: any number of images into parts in a folder; in shards, and taken up again after a stop. No torch."""
