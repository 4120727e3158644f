// The products of a matrix's rows with each other, once their mean row is taken out; in one pass over the matrix.
//
// TensorFlow's own operations take the mean, subtract it, transpose what is left and multiply: four passes over as many
// numbers as the factor of a gradient has. Here some columns at a time are turned into the processor's cache, where all
// of that is done to them: a mean is that of a column.
//
// Legend: B rows, one a video; P columns.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"
#include "trainer/native/processors.h"

namespace yt8m {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kColumnsAtOnce = 128;
// One thread takes a part at a time. Parts are summed in their order, whoever took them: results do not vary.
constexpr int64_t kColumnsOfPart = 1024;

struct Gram {
  const float* matrix;  // [B, P]
  float* parts;         // of each part [Stride(), Stride()] products, [B] products with the mean, its square
  int64_t rows, columns;

  // Of rows in groups for the tiles' rows, and then filled up for their columns.
  int64_t Stride() const {
    const int64_t whole = (rows + kRowsOfTile - 1) / kRowsOfTile * kRowsOfTile;
    return (whole + kMostColumnsOfTile - 1) / kMostColumnsOfTile * kMostColumnsOfTile;
  }
  int64_t Parts() const { return (columns + kColumnsOfPart - 1) / kColumnsOfPart; }
  int64_t SizeOfPart() const { return Stride() * Stride() + rows + 1; }
};

// Columns [column, column + count) as rows of `to` [kColumnsAtOnce, stride], 16 x 16 at a time: rows of a matrix often
// lie so that the places of their numbers in the cache are few.
YT8M_INLINE void Turn(const Gram& g, int64_t column, int64_t count, float* to) {
  const int64_t stride = g.Stride();
  for (int64_t row = 0; row < g.rows; row += kLanes) {
    const int64_t rows = std::min(kLanes, g.rows - row);
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t columns = std::min(kLanes, count - i);
      float square[kLanes][kLanes] = {};
      for (int64_t from = 0; from < rows; ++from) {
        std::memcpy(square[from], g.matrix + (row + from) * g.columns + column + i, columns * sizeof(float));
      }
      for (int64_t from = 0; from < columns; ++from) {
        for (int64_t lane = 0; lane < kLanes; ++lane) to[(i + from) * stride + row + lane] = square[lane][from];
      }
    }
  }
}

// Takes its mean from each of the `count` rows of `of` [kColumnsAtOnce, stride], and adds up the products with means.
YT8M_INLINE void Center(const Gram& g, int64_t count, float* of, float* along, float* mean_square) {
  for (int64_t i = 0; i < count; ++i, of += g.Stride()) {
    float sums[kLanes] = {};
    for (int64_t row = 0; row < g.rows; row += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += of[row + lane];  // zeros behind the last one
    }
    const float mean = std::accumulate(sums, sums + kLanes, 0.0f) / g.rows;
    for (int64_t row = 0; row < g.rows; ++row) {
      of[row] -= mean;
      along[row] += of[row] * mean;
    }
    *mean_square += mean * mean;
  }
}

template <typename Processor>
YT8M_INLINE void MultiplyParts(const Gram& g, int64_t begin, int64_t end) {
  const int64_t stride = g.Stride();
  const Buffer buffer = Allocate(kColumnsAtOnce * stride);
  float* const centered = buffer.get();
  std::fill(centered, centered + kColumnsAtOnce * stride, 0.0f);
  for (int64_t part = begin; part < end; ++part) {
    float* const products = g.parts + part * g.SizeOfPart();
    std::fill(products, products + g.SizeOfPart(), 0.0f);
    float* const along = products + stride * stride;
    const int64_t last = std::min(g.columns, (part + 1) * kColumnsOfPart);
    for (int64_t column = part * kColumnsOfPart; column < last; column += kColumnsAtOnce) {
      const int64_t count = std::min(kColumnsAtOnce, last - column);
      Turn(g, column, count, centered);
      Center(g, count, centered, along, along + g.rows);
      for (int64_t row = 0; row < g.rows; row += kRowsOfTile) {
        // The rest is the same once more.
        for (int64_t other = 0; other < row + kRowsOfTile; other += kColumnsOfTile<Processor>) {
          MultiplyTile<Processor, true>(centered + row, stride, centered + other, stride, count,
                                        products + row * stride + other, stride,
                                        [](int64_t) __attribute__((always_inline)) {});
        }
      }
    }
  }
}

YT8M_FOR_THIS_PROCESSOR(MultiplyRows, MultiplyParts, Gram)

class CenteredGram : public tensorflow::OpKernel {
 public:
  explicit CenteredGram(tensorflow::OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("widest", &widest_));
  }

  void Compute(tensorflow::OpKernelContext* context) override {
    using tensorflow::Tensor;
    const Tensor& matrix = context->input(0);
    OP_REQUIRES(context, matrix.dims() == 2,
                tensorflow::errors::InvalidArgument("matrix must be [B, P]. Received: ",
                                                    matrix.shape().DebugString()));
    Gram g;
    g.matrix = matrix.flat<float>().data(), g.rows = matrix.dim_size(0), g.columns = matrix.dim_size(1);
    Tensor *products, *along, *mean_square, parts;
    OP_REQUIRES_OK(context, context->allocate_output(0, {g.rows, g.rows}, &products));
    OP_REQUIRES_OK(context, context->allocate_output(1, {g.rows}, &along));
    OP_REQUIRES_OK(context, context->allocate_output(2, {}, &mean_square));
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, {g.Parts() * g.SizeOfPart()}, &parts));
    g.parts = parts.flat<float>().data();
    const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(threads.num_threads, threads.workers, g.Parts(), kColumnsOfPart * g.rows * (g.rows + 64) / 16,
                      [&](int64_t begin, int64_t end) { MultiplyRows(g, begin, end, widest_); });

    const int64_t stride = g.Stride();
    const auto total = [&](int64_t place) {
      double sum = 0.0;
      for (int64_t part = 0; part < g.Parts(); ++part) sum += g.parts[part * g.SizeOfPart() + place];
      return static_cast<float>(sum);
    };
    auto gram = products->matrix<float>();
    for (int64_t row = 0; row < g.rows; ++row) {
      for (int64_t other = 0; other <= row; ++other) {
        gram(row, other) = gram(other, row) = total(row * stride + other);
      }
      along->vec<float>()(row) = total(stride * stride + row);
    }
    mean_square->scalar<float>()() = total(stride * stride + g.rows);
  }

 private:
  int64_t widest_;
};

REGISTER_OP("CenteredGram")
    .Input("matrix: float")
    .Output("gram: float")
    .Output("along: float")
    .Output("mean_square: float")
    .Attr("widest: int = 64")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* context) {
      tensorflow::shape_inference::ShapeHandle matrix;
      TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 2, &matrix));
      const auto rows = context->Dim(matrix, 0);
      context->set_output(0, context->Matrix(rows, rows));
      context->set_output(1, context->Vector(rows));
      context->set_output(2, context->Scalar());
      return absl::OkStatus();
    })
    .Doc("Of matrix [B, P] = C + 1 m, m its mean row: C C^T, C m^T and m m^T, float32, in vectors of at most `widest` "
         "bytes.");

REGISTER_KERNEL_BUILDER(Name("CenteredGram").Device(tensorflow::DEVICE_CPU), CenteredGram);

}  // namespace
}  // namespace yt8m
