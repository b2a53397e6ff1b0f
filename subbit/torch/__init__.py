"""The part that needs torch: nothing outside this folder imports it."""
