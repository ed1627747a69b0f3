"""What every floor may use: errors, random keys, means, distributions, trees, sharding."""
