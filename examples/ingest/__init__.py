"""Read a web server's access log into SQLite, and lose no line whatever happens.

    python -m examples.ingest                                    the sample, kept in memory
    python -m examples.ingest access.log --database ingest.db    a log of your own
    super-visor run examples/ingest/tree.py:tree                 the same tree, by the command

The tree, in the order in which it starts; it stops in the reverse order:

    ingest          rest_for_one: who comes later depends on who came before
    |- store        the database, one transaction for each batch of lines
    |- parsers      one_for_one: a pool; each crashes alone, on a line that is malformed
    |  |- parser-1
    |  `- ...
    |- reporter     prints progress, and the tables at the end
    `- reader       cuts the log into batches, has them parsed, has them saved; its end is the end

What holds, and why:

- *Every line is stored once or set aside once.* A line is known by the byte offset at which it
  begins, which is the primary key. The offset up to which the log was read is moved in the same
  transaction as the rows that it covers, and only from where the batch began. So a run that is
  killed at any moment goes on exactly where the last transaction ended.
- *A malformed line costs one parser, not the run.* The parser crashes, its supervisor starts it
  again, and the reader, who still holds the line, sets it aside with the reason.
- *A log of any size needs little memory.* The reader asks the store to save a batch before it reads
  the next one, so the slowest sets the pace, and there is one batch in the process at a time.
- *A stop loses nothing.* Told to stop, the reader has the batch in its hands saved, then ends.
  The store is told last, when nobody needs it any more.

Read it in this order: `tree`, `messages`, `reader`, `parser`, `store`, `reporter`. The rest is
ordinary code that knows nothing of actors: `lines`, `combined`, `database`, `tables`.
"""
