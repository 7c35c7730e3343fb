"""Augmentation: pure functions on whole batches of images, one operation a file.

    def operation(images, uniforms, *, ...) -> images

`images` is (N, C, H, W) uint8 and is not changed; `uniforms` is (N, DRAWS) in [0, 1), of which an
operation uses the columns that it needs. The keyword-only arguments are the keys of the option's
yaml below conf/augment/. A strength only scales the uniforms: two variants that differ in a
strength see the same draws, which keeps their comparison paired. What several operations share is
in `cnnlab.data.augmentation`.
"""
