"""What people would use instead of subbit, one file a peer."""
