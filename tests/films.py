"""Films for the tests: pictures one after the other, as a video or as what Chromium's fake camera plays."""

import av


def write_film(path, pictures, rate, aspect=None):
    """`path`, where the Pillow `pictures` (RGB, of one even size) now are an H.264 video of `rate` a second, whose
    pixels are said to be `aspect` times as wide as high."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        (stream.width, stream.height), stream.pix_fmt = pictures[0].size, "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_image(picture)))
        output.mux(stream.encode())
    return path


def camera_flags(path, pictures):
    """Flags of a Chromium whose camera shows `pictures` over and over, from a file that is written at `path`."""
    with path.open("wb") as film:  # MJPEG: JPEGs one after the other
        for picture in pictures:
            picture.save(film, "JPEG", quality=90)
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    ]
