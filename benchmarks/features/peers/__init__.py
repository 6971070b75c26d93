"""The same features in other tools, each in the quickest formulation that we found."""
