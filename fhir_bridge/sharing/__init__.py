"""What concerns whom: which resources go to a partner and which of a partner's come here, under which names, and with whose consent."""
