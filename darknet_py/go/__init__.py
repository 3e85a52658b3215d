"""Go on 19 x 19 points: the rules, networks that play, and the search over what they say."""
