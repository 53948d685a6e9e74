"""The contract of gridsignal: records, frames, topics. No I/O; pydantic is its only dependency."""
