"""Alembic's entry: runs the migrations on the connection that `store.catalog.migrate` hands over."""

from alembic import context

from inbox_pipeline.store.catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
