"""Exporters: one module for each kind of file, all written from a `stages.result.Result`."""
