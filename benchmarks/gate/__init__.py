"""What the gate refuses, what it lets through, how often it is wrong, and how quickly the way back is."""
