"""Whether to do a task here or hire it, from whom, and how closely to check: pure, with every number and reason.

The engine, its policies and what explains and teaches them compute with numpy, which takes 14 MiB and a tenth of a
second to load. A node that only sells needs none of it, so whoever calls these imports them where they are called;
a test holds a daemon that has decided nothing to that.
"""
