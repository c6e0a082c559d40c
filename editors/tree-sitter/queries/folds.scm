[(record) (record_type) (list) (statements) (match) (arguments) (parameters) (block_comment)] @fold
