"""What commands of every kind share."""
