"""How good a bundle is on labelled pictures, in the engine that will run it. No torch."""
