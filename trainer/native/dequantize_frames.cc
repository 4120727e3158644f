// Frames of bytes as numbers and what makes their norm 1, in one pass in place of six.
//
// Legend: B videos, T frames, D bytes of a frame.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"
#include "trainer/native/processors.h"

namespace yt8m {
namespace {

constexpr int64_t kLanes = 64;  // sums that do not wait for each other
constexpr float kLeastSquare = 1e-12f;

struct Frames {
  const uint8_t* bytes;  // [B * T, D]
  float* rgb;            // [B * T, rgb_size]
  float* audio;          // [B * T, audio_size]
  float* scale;          // [B * T]
  int64_t rgb_size, audio_size;
  float origin;
};

// Writes byte + origin, and returns the sum of its squares.
YT8M_INLINE float Add(const uint8_t* bytes, int64_t size, float origin, float* to) {
  float squares[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = bytes[i + lane] + origin;
      to[i + lane] = value;
      squares[lane] += value * value;
    }
  }
  for (; i < size; ++i) {
    to[i] = bytes[i] + origin;
    squares[0] += to[i] * to[i];
  }
  return std::accumulate(squares, squares + kLanes, 0.0f);
}

template <typename Processor>
YT8M_INLINE void DequantizeRange(const Frames& f, int64_t begin, int64_t end) {
  for (int64_t frame = begin; frame < end; ++frame) {
    const uint8_t* bytes = f.bytes + frame * (f.rgb_size + f.audio_size);
    const float square = Add(bytes, f.rgb_size, f.origin, f.rgb + frame * f.rgb_size) +
                         Add(bytes + f.rgb_size, f.audio_size, f.origin, f.audio + frame * f.audio_size);
    f.scale[frame] = 1.0f / std::sqrt(std::max(square, kLeastSquare));
  }
}

YT8M_FOR_THIS_PROCESSOR(Dequantize, DequantizeRange, Frames)

class DequantizeFrames : public tensorflow::OpKernel {
 public:
  explicit DequantizeFrames(tensorflow::OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("rgb_size", &rgb_size_));
    OP_REQUIRES_OK(construction, construction->GetAttr("origin", &origin_));
    OP_REQUIRES_OK(construction, construction->GetAttr("widest", &widest_));
  }

  void Compute(tensorflow::OpKernelContext* context) override {
    using tensorflow::Tensor;
    const Tensor& frames = context->input(0);
    OP_REQUIRES(context, frames.dims() == 3 && frames.dim_size(2) >= rgb_size_,
                tensorflow::errors::InvalidArgument("frames must be [B, T, D], D at least ", rgb_size_,
                                                    ". Received: ", frames.shape().DebugString()));
    const int64_t videos = frames.dim_size(0), length = frames.dim_size(1);
    Frames f;
    f.rgb_size = rgb_size_, f.audio_size = frames.dim_size(2) - rgb_size_, f.origin = origin_;
    Tensor *rgb, *audio, *scale;
    OP_REQUIRES_OK(context, context->allocate_output(0, {videos, length, f.rgb_size}, &rgb));
    OP_REQUIRES_OK(context, context->allocate_output(1, {videos, length, f.audio_size}, &audio));
    OP_REQUIRES_OK(context, context->allocate_output(2, {videos, length}, &scale));
    f.bytes = frames.flat<uint8_t>().data();
    f.rgb = rgb->flat<float>().data();
    f.audio = audio->flat<float>().data();
    f.scale = scale->flat<float>().data();
    const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(threads.num_threads, threads.workers, videos * length, frames.dim_size(2),
                      [&](int64_t begin, int64_t end) { Dequantize(f, begin, end, widest_); });
  }

 private:
  int64_t rgb_size_, widest_;
  float origin_;
};

REGISTER_OP("DequantizeFrames")
    .Input("frames: uint8")
    .Output("rgb: float")
    .Output("audio: float")
    .Output("scale: float")
    .Attr("rgb_size: int")
    .Attr("origin: float")
    .Attr("widest: int = 64")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* context) {
      using tensorflow::shape_inference::DimensionHandle;
      tensorflow::shape_inference::ShapeHandle frames;
      TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 3, &frames));
      int64_t rgb_size;
      TF_RETURN_IF_ERROR(context->GetAttr("rgb_size", &rgb_size));
      DimensionHandle audio_size;
      TF_RETURN_IF_ERROR(context->Subtract(context->Dim(frames, 2), rgb_size, &audio_size));
      const DimensionHandle videos = context->Dim(frames, 0), length = context->Dim(frames, 1);
      context->set_output(0, context->MakeShape({videos, length, context->MakeDim(rgb_size)}));
      context->set_output(1, context->MakeShape({videos, length, audio_size}));
      context->set_output(2, context->Matrix(videos, length));
      return absl::OkStatus();
    })
    .Doc("Of frames [B, T, D]: byte + origin, the first `rgb_size` of D and the rest, and 1 / the norm of both "
         "together, float32, in vectors of at most `widest` bytes.");

REGISTER_KERNEL_BUILDER(Name("DequantizeFrames").Device(tensorflow::DEVICE_CPU), DequantizeFrames);

}  // namespace
}  // namespace yt8m
