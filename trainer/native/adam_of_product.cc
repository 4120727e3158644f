// Adam's update of a matrix whose gradient is a product, without the gradient ever being in memory.
//
// The kernel of a dense layer has the gradient left^T @ right, with one row a video in both factors: few
// numbers for what they are the product of. TensorFlow's own operations write the product, pass over it for
// the L2 term, and read it once more in ResourceApplyAdam. Here a few rows of it are multiplied into the
// processor's nearest cache, while it fetches their weights and moments, and are used up at once: memory is
// passed over a single time, beside the multiplication.
//
// Legend: B videos, P rows of the matrix, Q its columns.

// Before any header: TensorFlow's own functions copy variables by several threads.
#define EIGEN_USE_THREADS

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/kernels/training_op_helpers.h"
#include "tensorflow/core/util/work_sharder.h"
#include "trainer/native/processors.h"

namespace yt8m {
namespace {

// Of 80 videos 160 KiB, a part of a core's second-level cache.
constexpr int64_t kColumnsOfStrip = 512;
// Of six rows with their moments 9 KiB, a part of its first-level cache.
constexpr int64_t kColumnsAtOnce = 128;
constexpr int64_t kMostGroupsOfPart = 128;

// One update; matrices lie row by row. A group is kRowsOfTile rows of the matrix, a strip kColumnsOfStrip of
// its columns; a part, which one thread takes at a time, is a strip of some groups.
struct Update {
  float* weights;       // [P, Q]
  float* first;         // Adam's m, [P, Q]
  float* second;        // Adam's v, [P, Q]
  const float* left;    // [B, P]
  const float* right;   // [B, Q]
  float* packed;        // `left` by groups: [groups, B, kRowsOfTile]
  const float* rates;   // the learning rate of each row, or of all
  int64_t rate_stride;  // 1 where each row has its own, else 0
  int64_t videos, rows, columns;
  float scale, penalty, correction, rest1, rest2, epsilon;

  int64_t Groups() const { return (rows + kRowsOfTile - 1) / kRowsOfTile; }
  int64_t PartsOfStrip() const { return (Groups() + kMostGroupsOfPart - 1) / kMostGroupsOfPart; }
  int64_t Parts() const { return (columns + kColumnsOfStrip - 1) / kColumnsOfStrip * PartsOfStrip(); }
};

// Groups [begin, end) of u.packed; the last one is filled up with zeros.
void PackGroups(const Update& u, int64_t begin, int64_t end) {
  for (int64_t group = begin; group < end; ++group) {
    float* to = u.packed + group * u.videos * kRowsOfTile;
    const int64_t valid = std::min<int64_t>(kRowsOfTile, u.rows - group * kRowsOfTile);
    for (int64_t video = 0; video < u.videos; ++video, to += kRowsOfTile) {
      const float* from = u.left + video * u.rows + group * kRowsOfTile;
      for (int row = 0; row < kRowsOfTile; ++row) to[row] = row < valid ? from[row] : 0.0f;
    }
  }
}

void PackStrip(const Update& u, int64_t column, int64_t columns, float* to) {
  for (int64_t video = 0; video < u.videos; ++video, to += kColumnsOfStrip) {
    std::memcpy(to, u.right + video * u.columns + column, columns * sizeof(float));
    std::fill(to + columns, to + kColumnsOfStrip, 0.0f);
  }
}

// A tile of left^T @ right, while the weights and moments of the next one, from `next` on, are fetched.
template <typename Processor>
YT8M_INLINE void Multiply(const Update& u, const float* left, const float* right, int64_t next,
                          float* product) {
  constexpr int64_t kLinesOfRow = std::max<int64_t>(1, kColumnsOfTile<Processor> / kFloatsOfLine);
  constexpr int64_t kLines = kRowsOfTile * kLinesOfRow;
  const float* const matrices[] = {u.weights + next, u.first + next, u.second + next};
  MultiplyTile<Processor>(left, kRowsOfTile, right, kColumnsOfStrip, u.videos, product, kColumnsAtOnce,
                          // A line at a time; behind the last row it does no harm.
                          [&](int64_t video) __attribute__((always_inline)) {
                            if (video >= 3 * kLines) return;
                            const int64_t row = video % kLines / kLinesOfRow, line = video % kLinesOfRow;
                            __builtin_prefetch(
                                matrices[video / kLines] + row * u.columns + line * kFloatsOfLine, 1);
                          });
}

// Adam's step of `columns` weights, from `place` on, by the gradient scale * (product + penalty * weight).
YT8M_INLINE void Step(const Update& u, const float* __restrict product, float rate, int64_t columns,
                      int64_t place) {
  float* __restrict weights = u.weights + place;
  float* __restrict first = u.first + place;
  float* __restrict second = u.second + place;
  for (int64_t i = 0; i < columns; ++i) {
    const float gradient = u.scale * (product[i] + u.penalty * weights[i]);
    const float m = first[i] + (gradient - first[i]) * u.rest1;
    const float v = second[i] + (gradient * gradient - second[i]) * u.rest2;
    first[i] = m;
    second[i] = v;
    weights[i] -= m * rate / (std::sqrt(v) + u.epsilon);
  }
}

// Parts [begin, end), one strip's after the other's.
template <typename Processor>
YT8M_INLINE void UpdateParts(const Update& u, int64_t begin, int64_t end) {
  const int64_t groups = u.Groups(), parts = u.PartsOfStrip();
  const Buffer right = Allocate(u.videos * kColumnsOfStrip), product = Allocate(kRowsOfTile * kColumnsAtOnce);
  int64_t packed = -1;  // the strip whose columns are in `right`
  for (int64_t part = begin; part < end; ++part) {
    const int64_t strip = part / parts, column = strip * kColumnsOfStrip;
    const int64_t columns = std::min(kColumnsOfStrip, u.columns - column);
    if (strip != packed) PackStrip(u, column, columns, right.get());
    packed = strip;
    const int64_t first = part % parts * groups / parts, last = (part % parts + 1) * groups / parts;
    for (int64_t group = first; group < last; ++group) {
      const int64_t place = group * kRowsOfTile * u.columns + column;
      const float* const left = u.packed + group * u.videos * kRowsOfTile;
      const int64_t rows = std::min<int64_t>(kRowsOfTile, u.rows - group * kRowsOfTile);
      for (int64_t i = 0; i < columns; i += kColumnsAtOnce) {
        const int64_t count = std::min(kColumnsAtOnce, columns - i);
        for (int64_t j = i; j < i + count; j += kColumnsOfTile<Processor>) {
          const bool is_last = j + kColumnsOfTile<Processor> >= columns;
          const int64_t next = place + (is_last ? kRowsOfTile * u.columns : j + kColumnsOfTile<Processor>);
          Multiply<Processor>(u, left, right.get() + j, next, product.get() + j - i);
        }
        for (int64_t row = 0; row < rows; ++row) {
          const float rate = u.rates[(group * kRowsOfTile + row) * u.rate_stride] * u.correction;
          Step(u, product.get() + row * kColumnsAtOnce, rate, count, place + row * u.columns + i);
        }
      }
    }
  }
}

YT8M_FOR_THIS_PROCESSOR(Apply, UpdateParts, Update)

class ApplyAdamOfProduct : public tensorflow::OpKernel {
 public:
  explicit ApplyAdamOfProduct(tensorflow::OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("penalty", &penalty_));
    OP_REQUIRES_OK(construction, construction->GetAttr("widest", &widest_));
  }

  void Compute(tensorflow::OpKernelContext* context) override {
    using tensorflow::Tensor;
    const auto locks = tensorflow::MaybeLockVariableInputMutexesInOrder<Eigen::ThreadPoolDevice, float>(
        context, /*do_lock=*/false, /*sparse=*/false, {0, 1, 2});
    Tensor matrices[3];
    for (int i = 0; i < 3; ++i) {
      OP_REQUIRES_OK(context, (tensorflow::GetInputTensorFromVariable<Eigen::ThreadPoolDevice, float>(
                                  context, i, /*lock_held=*/false, /*sparse=*/false, &matrices[i])));
    }
    const Tensor &left = context->input(3), &right = context->input(4);
    OP_REQUIRES(context, left.dims() == 2 && right.dims() == 2 && left.dim_size(0) == right.dim_size(0),
                tensorflow::errors::InvalidArgument(
                    "left and right must be [B, P] and [B, Q]. Received: ", left.shape().DebugString(),
                    " and ", right.shape().DebugString()));
    Update u;
    u.videos = left.dim_size(0), u.rows = left.dim_size(1), u.columns = right.dim_size(1);
    for (const Tensor& matrix : matrices) {
      OP_REQUIRES(
          context, matrix.shape() == tensorflow::TensorShape({u.rows, u.columns}),
          tensorflow::errors::InvalidArgument("var, m and v must be [P, Q] = [", u.rows, ", ", u.columns,
                                              "]. Received: ", matrix.shape().DebugString()));
    }
    const Tensor& rates = context->input(8);
    OP_REQUIRES(context, rates.dims() == 0 || rates.shape() == tensorflow::TensorShape({u.rows}),
                tensorflow::errors::InvalidArgument("lr must be [] or [P] = [", u.rows,
                                                    "]. Received: ", rates.shape().DebugString()));
    float scalars[6];
    int i = 0;
    for (const int input : {5, 6, 7, 9, 10, 11}) {
      OP_REQUIRES(context, tensorflow::TensorShapeUtils::IsScalar(context->input(input).shape()),
                  tensorflow::errors::InvalidArgument("input ", input, " must be a scalar. Received: ",
                                                      context->input(input).shape().DebugString()));
      scalars[i++] = context->input(input).scalar<float>()();
    }
    const auto [scale, beta1_power, beta2_power, beta1, beta2, epsilon] = scalars;
    u.weights = matrices[0].flat<float>().data();
    u.first = matrices[1].flat<float>().data();
    u.second = matrices[2].flat<float>().data();
    u.left = left.flat<float>().data();
    u.right = right.flat<float>().data();
    u.scale = scale, u.penalty = penalty_;
    u.rates = rates.flat<float>().data(), u.rate_stride = rates.dims();
    u.correction = std::sqrt(1.0f - beta2_power) / (1.0f - beta1_power);
    u.rest1 = 1.0f - beta1, u.rest2 = 1.0f - beta2, u.epsilon = epsilon;

    Tensor packed;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT,
                                                   {u.Groups() * kRowsOfTile * u.videos}, &packed));
    u.packed = packed.flat<float>().data();
    const int64_t elements = u.rows * u.columns, parts = u.Parts();
    const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(threads.num_threads, threads.workers, u.Groups(), kRowsOfTile * u.videos,
                      [&](int64_t begin, int64_t end) { PackGroups(u, begin, end); });
    // Cycles of a part, about: one for 16 multiplications, and as many again as for 40 videos.
    tensorflow::Shard(threads.num_threads, threads.workers, parts,
                      parts ? elements / parts * (u.videos + 40) / 16 : 0,
                      [&](int64_t begin, int64_t end) { Apply(u, begin, end, widest_); });
  }

 private:
  float penalty_;
  int64_t widest_;
};

REGISTER_OP("ApplyAdamOfProduct")
    .Input("var: resource")
    .Input("m: resource")
    .Input("v: resource")
    .Input("left: float")
    .Input("right: float")
    .Input("scale: float")
    .Input("beta1_power: float")
    .Input("beta2_power: float")
    .Input("lr: float")
    .Input("beta1: float")
    .Input("beta2: float")
    .Input("epsilon: float")
    .Attr("penalty: float = 0.0")
    .Attr("widest: int = 64")
    .SetShapeFn(tensorflow::shape_inference::NoOutputs)
    .Doc(
        "ResourceApplyAdam of var [P, Q] by the gradient scale * (left^T @ right + penalty * var), float32, "
        "in vectors of at most `widest` bytes; lr is [], or [P] where each row has a rate of its own.");

REGISTER_KERNEL_BUILDER(Name("ApplyAdamOfProduct").Device(tensorflow::DEVICE_CPU), ApplyAdamOfProduct);

}  // namespace
}  // namespace yt8m
