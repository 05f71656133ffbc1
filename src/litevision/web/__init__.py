"""Pages for browsers: what the page of the server shares with the page that computes in the browser. No torch."""
