"""Videos frame by frame, with the dynamic prior."""
