"""Models behind HTTP: routes, limits, batches made of requests that arrive together, metrics and a page. No torch."""
