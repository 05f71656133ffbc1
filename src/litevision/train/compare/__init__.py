"""The published comparison of CenterNets, on a user's own pictures and machine."""
