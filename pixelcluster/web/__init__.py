"""The local page of `pixelcluster serve`: one picture at a time, in the browser, on this machine only."""
