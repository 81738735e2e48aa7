"""What a network may do: the ops a module's graph is allowed to hold.

An allow-list, because the list of ops that can do harm has no end: every library that is loaded
into the process adds its own. The families below are computation; what touches files, Python,
the network or the process is left out, and `REFUSALS` says why for the ones that people meet.
"""

import re

_FAMILIES: dict[str, str] = {
    "control flow and function calls": """
        Assert Case CheckNumerics CheckNumericsV2 Const ControlTrigger DeepCopy DeviceIndex
        Empty EnsureShape Enter Exit FakeParam For GuaranteeConst HostConst Identity IdentityN
        If LoopCond MapDefun Merge NextIteration NoOp PartitionedCall Placeholder PlaceholderV2
        PlaceholderWithDefault PreventGradient Print PrintV2 RefEnter RefExit RefIdentity
        RefMerge RefNextIteration RefSelect RefSwitch ShapeN Snapshot StatefulPartitionedCall
        StatelessCase StatelessIf StatelessWhile StopGradient Switch SymbolicGradient Timestamp
        ToBool While _UnaryOpsComposition
    """,
    "element-wise and reduction mathematics": """
        Abs AccumulateNV2 Acos Acosh Add AddN AddV2 All Angle Any ApproximateEqual ArgMax ArgMin
        Asin Asinh Atan Atan2 Atanh BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1
        BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Betainc Bincount Bitcast
        BitwiseAnd BitwiseOr BitwiseXor Bucketize Cast Ceil ClipByValue Complex ComplexAbs Conj
        Cos Cosh Cross Cumprod Cumsum CumulativeLogsumexp Dawsn DenseBincount Digamma Div
        DivNoNan Equal Erf Erfc Erfinv EuclideanNorm Exp Expint Expm1 Floor FloorDiv FloorMod
        FresnelCos FresnelSin Greater GreaterEqual HistogramFixedWidth Igamma IgammaGradA
        Igammac Imag Inv InvGrad Invert IsFinite IsInf IsNan IsotonicRegression LeftShift Less
        LessEqual Lgamma LinSpace Log Log1p LogicalAnd LogicalNot LogicalOr Max Maximum Mean Min
        Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual Polygamma PopulationCount Pow Prod
        Range Real RealDiv Reciprocal ReciprocalGrad RightShift Rint Round Rsqrt RsqrtGrad
        Sigmoid SigmoidGrad Sign Sin Sinh SobolSample Spence Sqrt SqrtGrad Square
        SquaredDifference StochasticCastToInt Sub Sum Tan Tanh TanhGrad TridiagonalMatMul
        TridiagonalSolve TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta
    """,
    "segments": """
        SegmentMax SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2
        SegmentSum SegmentSumV2 SparseSegmentMean SparseSegmentMeanGrad SparseSegmentMeanGradV2
        SparseSegmentMeanWithNumSegments SparseSegmentSqrtN SparseSegmentSqrtNGrad
        SparseSegmentSqrtNGradV2 SparseSegmentSqrtNWithNumSegments SparseSegmentSum
        SparseSegmentSumGrad SparseSegmentSumGradV2 SparseSegmentSumWithNumSegments
        UnsortedSegmentJoin UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
        UnsortedSegmentSum
    """,
    "linear algebra and spectra": """
        BandedTriangularSolve BatchCholesky BatchCholeskyGrad BatchFFT BatchFFT2D BatchFFT3D
        BatchIFFT BatchIFFT2D BatchIFFT3D BatchMatMul BatchMatMulV2 BatchMatMulV3
        BatchMatrixBandPart BatchMatrixDeterminant BatchMatrixDiag BatchMatrixDiagPart
        BatchMatrixInverse BatchMatrixSetDiag BatchMatrixSolve BatchMatrixSolveLs
        BatchMatrixTriangularSolve BatchSelfAdjointEig BatchSelfAdjointEigV2 BatchSvd Cholesky
        CholeskyGrad Eig Einsum FFT FFT2D FFT3D FFTND IFFT IFFT2D IFFT3D IFFTND IRFFT IRFFT2D
        IRFFT3D IRFFTND LogMatrixDeterminant Lu MatMul MatrixBandPart MatrixDeterminant
        MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3
        MatrixExponential MatrixInverse MatrixLogarithm MatrixSetDiag MatrixSetDiagV2
        MatrixSetDiagV3 MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr RFFT
        RFFT2D RFFT3D RFFTND SelfAdjointEig SelfAdjointEigV2 Svd _FusedMatMul
    """,
    "array": """
        ApproxTopK BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo
        Concat ConcatOffset ConcatV2 ConjugateTranspose DataFormatDimMap DataFormatVecPermute
        DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EditDistance ExpandDims Fill
        Fingerprint Gather GatherNd GatherV2 InplaceAdd InplaceSub InplaceUpdate
        InvertPermutation ListDiff LowerBound MakeUnique MirrorPad MirrorPadGrad NthElement
        OneHot OnesLike Pack Pad PadV2 ParallelConcat ParallelDynamicStitch QuantizeV2 Rank
        Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd ScatterNdNonAliasingAdd Select
        SelectV2 SetSize Shape Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV
        Squeeze StridedSlice StridedSliceGrad TensorStridedSliceUpdate Tile TileGrad TopK
        TopKUnique TopKV2 TopKWithUnique Transpose Unique UniqueV2 UniqueWithCounts
        UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where ZerosLike
    """,
    "tensor lists, arrays and stacks": """
        EmptyTensorList EmptyTensorMap Stack StackClose StackCloseV2 StackPop StackPopV2
        StackPush StackPushV2 StackV2 TensorArray TensorArrayClose TensorArrayCloseV2
        TensorArrayCloseV3 TensorArrayConcat TensorArrayConcatV2 TensorArrayConcatV3
        TensorArrayGather TensorArrayGatherV2 TensorArrayGatherV3 TensorArrayGrad
        TensorArrayGradV2 TensorArrayGradV3 TensorArrayGradWithShape TensorArrayPack
        TensorArrayRead TensorArrayReadV2 TensorArrayReadV3 TensorArrayScatter
        TensorArrayScatterV2 TensorArrayScatterV3 TensorArraySize TensorArraySizeV2
        TensorArraySizeV3 TensorArraySplit TensorArraySplitV2 TensorArraySplitV3
        TensorArrayUnpack TensorArrayV2 TensorArrayV3 TensorArrayWrite TensorArrayWriteV2
        TensorArrayWriteV3 TensorListConcat TensorListConcatLists TensorListConcatV2
        TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
        TensorListLength TensorListPopBack TensorListPushBack TensorListPushBackBatch
        TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList
        TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack TensorMapErase
        TensorMapHasKey TensorMapInsert TensorMapLookup TensorMapSize TensorMapStackKeys
        TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
    """,
    "network layers": """
        AllCandidateSampler AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad
        BatchNormWithGlobalNormalization BatchNormWithGlobalNormalizationGrad BiasAdd
        BiasAddGrad BiasAddV1 BlockLSTM BlockLSTMGrad BlockLSTMGradV2 BlockLSTMV2
        CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss CTCLossV2 ComputeAccidentalHits Conv
        Conv2D Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv2DBackpropInput
        Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter Conv3DBackpropFilterV2
        Conv3DBackpropInput Conv3DBackpropInputV2 CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2
        CudnnRNNBackpropV3 CudnnRNNCanonicalToParams CudnnRNNCanonicalToParamsV2
        CudnnRNNParamsSize CudnnRNNParamsToCanonical CudnnRNNParamsToCanonicalV2 CudnnRNNV2
        CudnnRNNV3 DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter
        DepthwiseConv2dNativeBackpropInput Dilation2D Dilation2DBackpropFilter
        Dilation2DBackpropInput Elu EluGrad FixedUnigramCandidateSampler FractionalAvgPool
        FractionalAvgPoolGrad FractionalMaxPool FractionalMaxPoolGrad FusedBatchNorm
        FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3 FusedBatchNormV2
        FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D GRUBlockCell GRUBlockCellGrad
        InTopK InTopKV2 KMC2ChainInitialization KmeansPlusPlusInitialization KthOrderStatistic
        L2Loss LRN LRNGrad LSTMBlockCell LSTMBlockCellGrad LeakyRelu LeakyReluGrad
        LearnedUnigramCandidateSampler LogSoftmax LogUniformCandidateSampler MaxPool MaxPool3D
        MaxPool3DGrad MaxPool3DGradGrad MaxPoolGrad MaxPoolGradGrad MaxPoolGradGradV2
        MaxPoolGradGradWithArgmax MaxPoolGradV2 MaxPoolGradWithArgmax MaxPoolV2
        MaxPoolWithArgmax NearestNeighbors Relu Relu6 Relu6Grad ReluGrad Selu SeluGrad Softmax
        SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign SoftsignGrad
        SparseSoftmaxCrossEntropyWithLogits ThreadUnsafeUnigramCandidateSampler
        UniformCandidateSampler _FusedBatchNormEx _FusedBatchNormGradEx _FusedConv2D
        _FusedConv3D _FusedDepthwiseConv2dNative
    """,
    "quantisation": """
        Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxArgsGradient
        FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsGradient
        FakeQuantWithMinMaxVarsPerChannel FakeQuantWithMinMaxVarsPerChannelGradient
        QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3
        QuantizeAndDequantizeV4 QuantizeAndDequantizeV4Grad QuantizeDownAndShrinkRange
        QuantizedAdd QuantizedAvgPool QuantizedBatchNormWithGlobalNormalization QuantizedBiasAdd
        QuantizedConcat QuantizedConcatV2 QuantizedConv2D QuantizedConv2DAndRelu
        QuantizedConv2DAndReluAndRequantize QuantizedConv2DAndRequantize
        QuantizedConv2DPerChannel QuantizedConv2DWithBias QuantizedConv2DWithBiasAndRelu
        QuantizedConv2DWithBiasAndReluAndRequantize QuantizedConv2DWithBiasAndRequantize
        QuantizedConv2DWithBiasSignedSumAndReluAndRequantize QuantizedConv2DWithBiasSumAndRelu
        QuantizedConv2DWithBiasSumAndReluAndRequantize QuantizedDepthwiseConv2D
        QuantizedDepthwiseConv2DWithBias QuantizedDepthwiseConv2DWithBiasAndRelu
        QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize QuantizedInstanceNorm
        QuantizedMatMul QuantizedMatMulWithBias QuantizedMatMulWithBiasAndDequantize
        QuantizedMatMulWithBiasAndRelu QuantizedMatMulWithBiasAndReluAndRequantize
        QuantizedMatMulWithBiasAndRequantize QuantizedMaxPool QuantizedMul QuantizedRelu
        QuantizedRelu6 QuantizedReluX QuantizedReshape QuantizedResizeBilinear
        RequantizationRange RequantizationRangePerChannel Requantize RequantizePerChannel
        UniformDequantize UniformQuantize UniformQuantizedAdd UniformQuantizedClipByValue
        UniformQuantizedConvolution UniformQuantizedConvolutionHybrid UniformQuantizedDot
        UniformQuantizedDotHybrid UniformRequantize _FusedQuantizedConv2D
        _FusedQuantizedDepthwiseConv2D
    """,
    "variables, optimizers among them": """
        ApplyAdaMax ApplyAdadelta ApplyAdagrad ApplyAdagradDA ApplyAdagradV2 ApplyAdam
        ApplyAddSign ApplyCenteredRMSProp ApplyFtrl ApplyFtrlV2 ApplyGradientDescent
        ApplyMomentum ApplyPowerSign ApplyProximalAdagrad ApplyProximalGradientDescent
        ApplyRMSProp Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp
        AssignVariableOp AssignVariableXlaConcatND CountUpTo DestroyResourceOp
        DestroyTemporaryVariable DisableCopyOnRead IsVariableInitialized ReadVariableOp
        ReadVariableXlaSplitND ResourceApplyAdaMax ResourceApplyAdadelta ResourceApplyAdagrad
        ResourceApplyAdagradDA ResourceApplyAdagradV2 ResourceApplyAdam
        ResourceApplyAdamWithAmsgrad ResourceApplyAddSign ResourceApplyCenteredRMSProp
        ResourceApplyFtrl ResourceApplyFtrlV2 ResourceApplyGradientDescent
        ResourceApplyKerasMomentum ResourceApplyMomentum ResourceApplyPowerSign
        ResourceApplyProximalAdagrad ResourceApplyProximalGradientDescent ResourceApplyRMSProp
        ResourceCountUpTo ResourceGather ResourceGatherNd ResourceScatterAdd ResourceScatterDiv
        ResourceScatterMax ResourceScatterMin ResourceScatterMul ResourceScatterNdAdd
        ResourceScatterNdMax ResourceScatterNdMin ResourceScatterNdSub ResourceScatterNdUpdate
        ResourceScatterSub ResourceScatterUpdate ResourceSparseApplyAdadelta
        ResourceSparseApplyAdagrad ResourceSparseApplyAdagradDA ResourceSparseApplyAdagradV2
        ResourceSparseApplyCenteredRMSProp ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2
        ResourceSparseApplyKerasMomentum ResourceSparseApplyMomentum
        ResourceSparseApplyProximalAdagrad ResourceSparseApplyProximalGradientDescent
        ResourceSparseApplyRMSProp ResourceStridedSliceAssign ScatterAdd ScatterDiv ScatterMax
        ScatterMin ScatterMul ScatterNdAdd ScatterNdMax ScatterNdMin ScatterNdSub
        ScatterNdUpdate ScatterSub ScatterUpdate SparseApplyAdadelta SparseApplyAdagrad
        SparseApplyAdagradDA SparseApplyAdagradV2 SparseApplyCenteredRMSProp SparseApplyFtrl
        SparseApplyFtrlV2 SparseApplyMomentum SparseApplyProximalAdagrad
        SparseApplyProximalGradientDescent SparseApplyRMSProp StridedSliceAssign
        TemporaryVariable VarHandleOp VarIsInitializedOp Variable VariableShape VariableV2
    """,
    "random": """
        Multinomial NonDeterministicInts ParameterizedTruncatedNormal RandomCrop RandomGamma
        RandomGammaGrad RandomIndexShuffle RandomPoisson RandomPoissonV2 RandomShuffle
        RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip
        StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2
        StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt
        StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial
        StatelessRandomGammaV2 StatelessRandomGammaV3 StatelessRandomGetAlg
        StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
        StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform
        StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
        StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessSampleDistortedBoundingBox
        StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
    """,
    "strings": """
        AsString DecodeBase64 EncodeBase64 ReduceJoin RegexFullMatch RegexReplace
        StaticRegexFullMatch StaticRegexReplace StringFormat StringJoin StringLength StringLower
        StringNGrams StringSplit StringSplitV2 StringStrip StringToHashBucket
        StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Substr
        UnicodeDecode UnicodeDecodeWithOffsets UnicodeEncode UnicodeScript UnicodeTranscode
    """,
    "lookup tables": """
        AnonymousHashTable AnonymousMutableDenseHashTable AnonymousMutableHashTable
        AnonymousMutableHashTableOfTensors HashTable HashTableV2 InitializeTable
        InitializeTableV2 LookupTableExport LookupTableExportV2 LookupTableFind
        LookupTableFindV2 LookupTableImport LookupTableImportV2 LookupTableInsert
        LookupTableInsertV2 LookupTableRemoveV2 LookupTableSize LookupTableSizeV2
        MutableDenseHashTable MutableDenseHashTableV2 MutableHashTable MutableHashTableOfTensors
        MutableHashTableOfTensorsV2 MutableHashTableV2
    """,
    "decoding of examples, images and sound": """
        AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation AudioMicrofrontend
        AudioSpectrogram CombinedNonMaxSuppression CropAndResize CropAndResizeGradBoxes
        CropAndResizeGradImage DecodeAndCropJpeg DecodeBmp DecodeCSV DecodeCompressed DecodeGif
        DecodeImage DecodeJSONExample DecodeJpeg DecodeJxl DecodePaddedRaw DecodePng
        DecodeProtoV2 DecodeRaw DecodeWav DecodeWebP DrawBoundingBoxes DrawBoundingBoxesV2
        EncodeJpeg EncodeJpegVariableQuality EncodePng EncodeProto EncodeWav ExtractGlimpse
        ExtractGlimpseV2 ExtractImagePatches ExtractJpegShape ExtractVolumePatches
        GenerateBoundingBoxProposals HSVToRGB ImageProjectiveTransformV2
        ImageProjectiveTransformV3 Mfcc NonMaxSuppression NonMaxSuppressionV2
        NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
        NonMaxSuppressionWithOverlaps ParseExample ParseExampleV2 ParseSequenceExample
        ParseSequenceExampleV2 ParseSingleExample ParseSingleSequenceExample ParseTensor
        RGBToHSV ResizeArea ResizeBicubic ResizeBicubicGrad ResizeBilinear ResizeBilinearGrad
        ResizeNearestNeighbor ResizeNearestNeighborGrad SampleDistortedBoundingBox
        SampleDistortedBoundingBoxV2 ScaleAndTranslate ScaleAndTranslateGrad SerializeTensor
    """,
    "sparse and ragged": """
        AddManySparseToTensorsMap AddSparseToTensorsMap CSRSparseMatrixComponents
        CSRSparseMatrixToDense CSRSparseMatrixToSparseTensor
        CompositeTensorVariantFromComponents CompositeTensorVariantToComponents
        DenseCountSparseOutput DenseToCSRSparseMatrix DenseToDenseSetOperation
        DenseToSparseSetOperation DeserializeManySparse DeserializeSparse RaggedBincount
        RaggedCountSparseOutput RaggedCross RaggedFillEmptyRows RaggedFillEmptyRowsGrad
        RaggedGather RaggedRange RaggedTensorFromVariant RaggedTensorToSparse
        RaggedTensorToTensor RaggedTensorToVariant RaggedTensorToVariantGradient
        SerializeManySparse SerializeSparse SparseAdd SparseAddGrad SparseBincount SparseConcat
        SparseCountSparseOutput SparseCross SparseCrossHashed SparseCrossV2 SparseDenseCwiseAdd
        SparseDenseCwiseDiv SparseDenseCwiseMul SparseFillEmptyRows SparseFillEmptyRowsGrad
        SparseMatMul SparseMatrixAdd SparseMatrixMatMul SparseMatrixMul SparseMatrixNNZ
        SparseMatrixOrderingAMD SparseMatrixSoftmax SparseMatrixSoftmaxGrad
        SparseMatrixSparseCholesky SparseMatrixSparseMatMul SparseMatrixTranspose
        SparseMatrixZeros SparseReduceMax SparseReduceMaxSparse SparseReduceSum
        SparseReduceSumSparse SparseReorder SparseReshape SparseSlice SparseSliceGrad
        SparseSoftmax SparseSparseMaximum SparseSparseMinimum SparseSplit SparseTensorDenseAdd
        SparseTensorDenseMatMul SparseTensorToCSRSparseMatrix SparseToDense
        SparseToSparseSetOperation TakeManySparseFromTensorsMap
    """,
    "summaries that only make a protocol buffer": """
        AudioSummary AudioSummaryV2 HistogramSummary ImageSummary MergeSummary ScalarSummary
        TensorSummary TensorSummaryV2
    """,
    "XLA": """
        XlaBroadcastHelper XlaConcatND XlaConv XlaConvV2 XlaDequantize XlaDot XlaDotV2
        XlaDynamicSlice XlaDynamicUpdateSlice XlaEinsum XlaGather XlaIf XlaKeyValueSort XlaPad
        XlaReduce XlaReducePrecision XlaReduceWindow XlaRemoveDynamicDimensionSize XlaReplicaId
        XlaRngBitGenerator XlaScatter XlaSelectAndScatter XlaSelfAdjointEig XlaSetBound
        XlaSetDynamicDimensionSize XlaSharding XlaSort XlaSparseGradientsStack XlaSplitND
        XlaSpmdFullToShardShape XlaSpmdShardToFullShape XlaSvd XlaVariadicReduce
        XlaVariadicReduceV2 XlaVariadicSort XlaWhile
    """,
    # Harmless without an iterator, and a module cannot make one: that takes refused ops. Keras 2's
    # layers carry functions that adapt them to the caller's iterator.
    "reading the caller's iterator": """
        IteratorGetNext IteratorGetNextAsOptional OptionalFromValue OptionalGetValue
        OptionalHasValue OptionalNone
    """,
    # Registered only where the user installed tensorflow_text; computation on strings, all of them.
    "TensorFlow Text": """
        CaseFoldUTF8 ConstrainedSequence FindSourceOffsets MaxSpanningTree NormalizeUTF8
        NormalizeUTF8WithOffsetsMap RegexSplitWithOffsets RougeL SentenceFragments
        SentencepieceDetokenizeOp SentencepieceIdToStringOp SentencepieceOp
        SentencepieceStringToIdOp SentencepieceTokenizeOp SentencepieceTokenizeWithOffsetsOp
        SentencepieceVocabSizeOp SplitMergeTokenizeWithOffsets TFText>BoiseTagsToOffsets
        TFText>ByteSplitByOffsets TFText>ByteSplitWithOffsets TFText>FastBertNormalize
        TFText>FastSentencepieceDetokenize TFText>FastSentencepieceTokenize
        TFText>FastWordpieceDetokenize TFText>FastWordpieceTokenizeWithOffsets
        TFText>NgramsStringJoin TFText>OffsetsToBoiseTags TFText>PhraseDetokenize
        TFText>PhraseTokenize TFText>RoundRobinGenerateMasks TFText>RoundRobinTrim
        TFText>SentenceFragmenterV2 TFText>Utf8Binarize TFText>WhitespaceTokenizeWithOffsetsV2
        TokenizerFromLogits UnicodeScriptTokenizeWithOffsets WhitespaceTokenizeWithOffsets
        WordpieceTokenizeWithOffsets
    """,
}

ALLOWED_OPS: frozenset[str] = frozenset(
    name for family in _FAMILIES.values() for name in family.split()
)

#: Ops that `tensorflow_text` registers.
TEXT_OPS = frozenset(_FAMILIES["TensorFlow Text"].split())

#: Ops that read the file they are told, and which of their inputs tells it. Only assets may be.
ASSET_READERS: dict[str, int] = {
    "InitializeTableFromTextFile": 1,
    "InitializeTableFromTextFileV2": 1,
    "ReadFile": 0,
}

#: Every SavedModel carries a function that saves its variables and one that restores them.
SAVE_OPS = frozenset(
    {"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2", "ShardedFilename", "ShardedFilespec"}
)
RESTORE_OPS = frozenset({"Restore", "RestoreSlice", "RestoreV2"})

#: The first pattern that fits the whole name of an op that is not allowed gives the reason.
REFUSALS: tuple[tuple[str, str], ...] = (
    (r"WriteFile|DumpTensor|CalibrationStatisticsSaver", "writes a file"),
    (r".*Py(Func|Func\w+)|NumpyFunction", "calls Python code of the process"),
    (r"ReadFile|MatchingFiles|ImmutableConst|Skipgram|RecordInput", "reads files"),
    (r"LoadAndRemapMatrix|GenerateVocabRemapping", "reads files"),
    (r".*Reader(V2)?|Reader\w+", "reads files through a queue"),
    (r"InitializeTableFromDataset", "fills a table from a data set, which may read files"),
    (r"Debug\w+|Copy|CopyHost", "sends tensors to a file or an address"),
    (r".*SummaryWriter|CreateSummary\w+|Write\w*Summary|ImportEvent", "writes event files"),
    (r"Rpc\w+|RemoteCall|DataService\w+|_?(Host)?(Send|Recv)", "talks to other machines"),
    (r"Collective\w+|Nccl\w+|Xla(AllReduce|ReduceScatter)", "talks to other devices or machines"),
    (r".*(Dataset|Iterator)\w*", "belongs to an input pipeline, which may read or write files"),
    (r".*(Queue|Barrier)\w*", "belongs to an input queue"),
    (r"XlaCallModule", "holds a compiled program that the audit cannot read"),
    (r"XlaCustomCall(V2)?|XlaHostCompute|Xla(Send|Recv)\w*", "leaves the compiled program"),
    (r"MlirPassthroughOp|_?TPU\w+|TRTEngineOp", "holds a program that the audit cannot read"),
    (r"Abort", "ends the process"),
    (r"FileSystemSetConfiguration", "reconfigures the file system"),
    (r"DistributedSave|DTensorRestoreV2", "reads or writes checkpoints"),
)


def refusal(op: str) -> str:
    """Says why an op that is not allowed is refused."""
    for pattern, reason in REFUSALS:
        if re.fullmatch(pattern, op):
            return reason
    return "is not among the ops that a network needs (a custom op, or one with side effects)"
