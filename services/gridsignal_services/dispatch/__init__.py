"""The door for grid operators: requests in, the book and the orders out, over REST."""
