"""(context, actions) → pmf; learn; bytes in, bytes out."""
