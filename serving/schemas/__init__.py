"""What goes over the wire, by subject; `common` holds what the others share."""
