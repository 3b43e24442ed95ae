
# Includes run downwards, and cpu/ links alone.
TESTS += %D%/layering.sh
EXTRA_DIST += %D%/layering.sh
