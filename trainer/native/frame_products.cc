// Products with frames that stay bytes.
//
// As float32 the frames of a batch of 80 videos are 70 MB, which NetVLAD's two products and the gradient of
// each would read anew. Here some frames at a time become numbers in the processor's cache, and memory is
// asked for a quarter.
//
// Legend: B videos, T frames, D bytes of a frame, S of them a feature, K clusters.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"
#include "trainer/native/processors.h"

namespace yt8m {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// S is a multiple of it: whole vectors, and whole tiles, of every processor.
constexpr int64_t kUnit = 64;
// Sums of so many squares of bytes fit into 32 bits.
constexpr int64_t kMostBytes = 32768;

// A feature of all frames: of each byte the number byte + origin.
struct Feature {
  const uint8_t* bytes;                  // [B, T, D], from the feature's first byte on
  int64_t videos, frames, stride, size;  // B, T, D, S
  float origin;

  // Numbers [begin, begin + count) of the wanted number of frames, from `first` on, as rows of `to`.
  YT8M_INLINE void Decode(int64_t video, int64_t first, int64_t wanted, int64_t begin, int64_t count,
                          float* __restrict to) const {
    const uint8_t* __restrict from = bytes + (video * frames + first) * stride + begin;
    for (int64_t frame = 0; frame < wanted; ++frame, from += stride, to += count) {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i] + origin;
    }
  }
};

// The sum of a vector's numbers.
template <typename Vector>
YT8M_INLINE float Total(const Vector& vector) {
  constexpr int kLanes = sizeof(Vector) / sizeof(float);
  float lanes[kLanes];
  std::memcpy(lanes, &vector, sizeof(Vector));
  YT8M_UNROLLED
  for (int half = kLanes / 2; half > 0; half /= 2) {
    YT8M_UNROLLED
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

// frames @ matrix^T.
struct ByMatrix {
  Feature feature;
  const float* matrix;  // [K, S] for all videos or, a video after the other, [B, K, S]
  float* product;       // [B, T, K]
  int64_t clusters, matrix_stride;

  // One thread takes some frames of a video at a time.
  static constexpr int64_t kFramesOfPart = 32;
  int64_t PartsOfVideo() const { return (feature.frames + kFramesOfPart - 1) / kFramesOfPart; }
};

template <typename Processor>
YT8M_INLINE void MultiplyByMatrix(const ByMatrix& work, int64_t begin, int64_t end) {
  using Vector = typename Processor::Vector;
  constexpr int kLanes = sizeof(Vector) / sizeof(float), kFrames = Processor::kVectors * 2, kClusters = 3;
  const Feature& feature = work.feature;
  const int64_t size = feature.size;
  const Buffer buffer = Allocate(kFrames * size);
  std::fill(buffer.get(), buffer.get() + kFrames * size, 0.0f);
  for (int64_t part = begin; part < end; ++part) {
    const int64_t video = part / work.PartsOfVideo();
    const int64_t start = part % work.PartsOfVideo() * ByMatrix::kFramesOfPart;
    const int64_t stop = std::min(start + ByMatrix::kFramesOfPart, feature.frames);
    const float* const matrix = work.matrix + video * work.matrix_stride;
    for (int64_t first = start; first < stop; first += kFrames) {
      const int64_t frames = std::min<int64_t>(kFrames, stop - first);
      feature.Decode(video, first, frames, 0, size, buffer.get());
      float* const product = work.product + (video * feature.frames + first) * work.clusters;
      for (int64_t cluster = 0; cluster < work.clusters; cluster += kClusters) {
        const float* rows[kClusters];  // the last one again where there are no more
        for (int i = 0; i < kClusters; ++i)
          rows[i] = matrix + std::min(cluster + i, work.clusters - 1) * size;
        Vector sums[kFrames][kClusters] = {};
        for (int64_t place = 0; place < size; place += kLanes) {
          Vector weights[kClusters];
          YT8M_UNROLLED
          for (int i = 0; i < kClusters; ++i) std::memcpy(&weights[i], rows[i] + place, sizeof(Vector));
          YT8M_UNROLLED
          for (int frame = 0; frame < kFrames; ++frame) {
            Vector values;
            std::memcpy(&values, buffer.get() + frame * size + place, sizeof(Vector));
            YT8M_UNROLLED
            for (int i = 0; i < kClusters; ++i) sums[frame][i] += values * weights[i];
          }
        }
        float totals[kFrames][kClusters];
        YT8M_UNROLLED
        for (int frame = 0; frame < kFrames; ++frame) {
          YT8M_UNROLLED
          for (int i = 0; i < kClusters; ++i) totals[frame][i] = Total(sums[frame][i]);
        }
        const int64_t clusters = std::min<int64_t>(kClusters, work.clusters - cluster);
        for (int64_t frame = 0; frame < frames; ++frame) {
          std::copy(totals[frame], totals[frame] + clusters, product + frame * work.clusters + cluster);
        }
      }
    }
  }
}

YT8M_FOR_THIS_PROCESSOR(RunByMatrix, MultiplyByMatrix, ByMatrix)

// weights^T @ frames, video by video.
struct Pooling {
  Feature feature;
  const float* weights;  // [B, T, K]
  float* pooled;         // [B, K, S]
  int64_t clusters;
};

template <typename Processor>
YT8M_INLINE void PoolVideos(const Pooling& work, int64_t begin, int64_t end) {
  constexpr int64_t kColumns = kColumnsOfTile<Processor>;
  const Feature& feature = work.feature;
  const int64_t groups = (work.clusters + kRowsOfTile - 1) / kRowsOfTile, padded = groups * kRowsOfTile;
  const Buffer weights = Allocate(feature.frames * padded), values = Allocate(feature.frames * kColumns);
  float tile[kRowsOfTile * kColumns];
  for (int64_t video = begin; video < end; ++video) {
    for (int64_t frame = 0; frame < feature.frames; ++frame) {
      const float* from = work.weights + (video * feature.frames + frame) * work.clusters;
      float* to = std::copy(from, from + work.clusters, weights.get() + frame * padded);
      std::fill(to, weights.get() + (frame + 1) * padded, 0.0f);
    }
    float* const pooled = work.pooled + video * work.clusters * feature.size;
    for (int64_t column = 0; column < feature.size; column += kColumns) {
      feature.Decode(video, 0, feature.frames, column, kColumns, values.get());
      for (int64_t cluster = 0; cluster < work.clusters; cluster += kRowsOfTile) {
        MultiplyTile<Processor>(weights.get() + cluster, padded, values.get(), kColumns, feature.frames, tile,
                                kColumns, [](int64_t) __attribute__((always_inline)) {});
        const int64_t clusters = std::min<int64_t>(kRowsOfTile, work.clusters - cluster);
        for (int64_t i = 0; i < clusters; ++i) {
          std::copy(tile + i * kColumns, tile + (i + 1) * kColumns,
                    pooled + (cluster + i) * feature.size + column);
        }
      }
    }
  }
}

YT8M_FOR_THIS_PROCESSOR(RunPooling, PoolVideos, Pooling)

// 1 / the norm of each frame's numbers; of one of zeros, 1e6.
struct Scales {
  Feature feature;
  float* scales;  // [B, T]
};

template <typename Processor>
YT8M_INLINE void ScaleFrames(const Scales& work, int64_t begin, int64_t end) {
  const Feature& feature = work.feature;
  for (int64_t frame = begin; frame < end; ++frame) {
    const uint8_t* bytes = feature.bytes + frame * feature.stride;
    int32_t sum = 0, squares = 0;  // exact
    for (int64_t i = 0; i < feature.size; ++i) {
      sum += bytes[i];
      squares += bytes[i] * bytes[i];
    }
    const double origin = feature.origin;
    const double square = squares + origin * (2.0 * sum + origin * feature.size);
    work.scales[frame] = 1.0 / std::sqrt(std::max(square, 1e-12));
  }
}

YT8M_FOR_THIS_PROCESSOR(RunScales, ScaleFrames, Scales)

// What the operations here have in common: frames uint8 [B, T, D] as their first input, and which bytes of D
// they are on.
class FrameOperation : public tensorflow::OpKernel {
 public:
  explicit FrameOperation(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("begin", &begin_));
    OP_REQUIRES_OK(construction, construction->GetAttr("size", &size_));
    OP_REQUIRES_OK(construction, construction->GetAttr("origin", &origin_));
    OP_REQUIRES_OK(construction, construction->GetAttr("widest", &widest_));
  }

 protected:
  tensorflow::Status Read(OpKernelContext* context, Feature* feature) const {
    const Tensor& frames = context->input(0);
    if (frames.dims() != 3 || frames.dim_size(2) < begin_ + size_ || begin_ < 0 || size_ < 1 ||
        size_ > kMostBytes || size_ % kUnit) {
      return InvalidArgument("frames must be [B, T, D], with a feature of at most ", kMostBytes,
                             " bytes, in multiples of ", kUnit, ". Received: ", frames.shape().DebugString(),
                             " with begin=", begin_, " and size=", size_);
    }
    *feature = {frames.flat<uint8_t>().data() + begin_,
                frames.dim_size(0),
                frames.dim_size(1),
                frames.dim_size(2),
                size_,
                origin_};
    return absl::OkStatus();
  }

  template <typename Work>
  void Run(OpKernelContext* context, const Work& work, int64_t parts, int64_t cycles,
           void (*run)(const Work&, int64_t, int64_t, int64_t)) const {
    const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(threads.num_threads, threads.workers, parts, cycles,
                      [&](int64_t begin, int64_t end) { run(work, begin, end, widest_); });
  }

 private:
  int64_t begin_, size_, widest_;
  float origin_;
};

class FramesByMatrix : public FrameOperation {
 public:
  using FrameOperation::FrameOperation;

  void Compute(OpKernelContext* context) override {
    ByMatrix work;
    OP_REQUIRES_OK(context, Read(context, &work.feature));
    const Feature& feature = work.feature;
    const Tensor& matrix = context->input(1);
    OP_REQUIRES(context,
                matrix.dims() == 3 && (matrix.dim_size(0) == 1 || matrix.dim_size(0) == feature.videos) &&
                    matrix.dim_size(1) > 0 && matrix.dim_size(2) == feature.size,
                InvalidArgument("matrix must be [1 or B, K, S]. Received: ", matrix.shape().DebugString()));
    work.clusters = matrix.dim_size(1);
    work.matrix = matrix.flat<float>().data();
    work.matrix_stride = matrix.dim_size(0) == 1 ? 0 : work.clusters * feature.size;
    Tensor* product;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, {feature.videos, feature.frames, work.clusters}, &product));
    work.product = product->flat<float>().data();
    Run(context, work, feature.videos * work.PartsOfVideo(),
        ByMatrix::kFramesOfPart * feature.size * (work.clusters + 8) / 16, RunByMatrix);
  }
};

class PooledFrames : public FrameOperation {
 public:
  using FrameOperation::FrameOperation;

  void Compute(OpKernelContext* context) override {
    Pooling work;
    OP_REQUIRES_OK(context, Read(context, &work.feature));
    const Feature& feature = work.feature;
    const Tensor& weights = context->input(1);
    OP_REQUIRES(
        context,
        weights.dims() == 3 && weights.dim_size(0) == feature.videos && weights.dim_size(1) == feature.frames,
        InvalidArgument("weights must be [B, T, K]. Received: ", weights.shape().DebugString()));
    work.clusters = weights.dim_size(2);
    work.weights = weights.flat<float>().data();
    Tensor* pooled;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, {feature.videos, work.clusters, feature.size}, &pooled));
    work.pooled = pooled->flat<float>().data();
    Run(context, work, feature.videos, feature.frames * feature.size * (work.clusters + 8) / 16, RunPooling);
  }
};

class FrameScales : public FrameOperation {
 public:
  using FrameOperation::FrameOperation;

  void Compute(OpKernelContext* context) override {
    Scales work;
    OP_REQUIRES_OK(context, Read(context, &work.feature));
    const Feature& feature = work.feature;
    Tensor* scales;
    OP_REQUIRES_OK(context, context->allocate_output(0, {feature.videos, feature.frames}, &scales));
    work.scales = scales->flat<float>().data();
    Run(context, work, feature.videos * feature.frames, feature.size / 4, RunScales);
  }
};

tensorflow::Status FramesByMatrixShape(InferenceContext* context) {
  ShapeHandle frames, matrix;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 3, &frames));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 3, &matrix));
  context->set_output(
      0, context->MakeShape({context->Dim(frames, 0), context->Dim(frames, 1), context->Dim(matrix, 1)}));
  return absl::OkStatus();
}

tensorflow::Status PooledFramesShape(InferenceContext* context) {
  ShapeHandle frames, weights;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 3, &frames));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 3, &weights));
  int64_t size;
  TF_RETURN_IF_ERROR(context->GetAttr("size", &size));
  context->set_output(
      0, context->MakeShape({context->Dim(frames, 0), context->Dim(weights, 2), context->MakeDim(size)}));
  return absl::OkStatus();
}

tensorflow::Status FrameScalesShape(InferenceContext* context) {
  ShapeHandle frames;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 3, &frames));
  context->set_output(0, context->Matrix(context->Dim(frames, 0), context->Dim(frames, 1)));
  return absl::OkStatus();
}

#define YT8M_FEATURE Attr("begin: int").Attr("size: int").Attr("origin: float").Attr("widest: int = 64")

REGISTER_OP("FramesByMatrix")
    .Input("frames: uint8")
    .Input("matrix: float")
    .Output("product: float")
    .YT8M_FEATURE.SetShapeFn(FramesByMatrixShape)
    .Doc(
        "X @ matrix^T [B, T, K], X the numbers byte + origin of `size` bytes from `begin` on of frames "
        "[B, T, D]; matrix is [1, K, size] or, one a video, [B, K, size]; vectors have at most `widest` "
        "bytes.");
REGISTER_KERNEL_BUILDER(Name("FramesByMatrix").Device(tensorflow::DEVICE_CPU), FramesByMatrix);

REGISTER_OP("PooledFrames")
    .Input("frames: uint8")
    .Input("weights: float")
    .Output("pooled: float")
    .YT8M_FEATURE.SetShapeFn(PooledFramesShape)
    .Doc("weights^T @ X [B, K, size], video by video, X as in FramesByMatrix and weights [B, T, K].");
REGISTER_KERNEL_BUILDER(Name("PooledFrames").Device(tensorflow::DEVICE_CPU), PooledFrames);

REGISTER_OP("FrameScales")
    .Input("frames: uint8")
    .Output("scales: float")
    .YT8M_FEATURE.SetShapeFn(FrameScalesShape)
    .Doc("1 / the norm of X [B, T], X as in FramesByMatrix.");
REGISTER_KERNEL_BUILDER(Name("FrameScales").Device(tensorflow::DEVICE_CPU), FrameScales);

}  // namespace
}  // namespace yt8m
