"""One streaming pass of a corpus through a model: mergeable statistics, nothing spooled."""
