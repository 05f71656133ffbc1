"""Weights that others published: fetch them, read them from any layout, and write them back."""
