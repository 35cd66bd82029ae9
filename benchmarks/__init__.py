"""`./run bench [NAME…]`: what imgnom costs, each figure beside a peer or limit measured in the same run."""
