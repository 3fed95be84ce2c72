"""Files that people share: one module a kind, all drawn from a `stages.result.Result`."""
