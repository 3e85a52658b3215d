"""What C's training computes at the end of a network: each head's delta and cost, on tensors.

Every module holds one layer's loss, as C has it and without autograd: a `Delta` is a step
direction for the layer's input, added up over the samples.
"""
