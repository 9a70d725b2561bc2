"""Reading data sets into memory and splitting them; the one place that knows file layouts."""
