"""The published comparison of CenterNets, on a user's own images and machine."""
