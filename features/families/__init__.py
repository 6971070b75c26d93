"""The families of the standard catalogue, a file each: what can be told of every user of a log of this shape."""
