"""Core ML packages (.mlpackage), made of bundles without torch."""
