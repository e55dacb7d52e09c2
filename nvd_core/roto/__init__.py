"""Make masks: propagate, segment, discover and complete them, and refine them to mattes."""
