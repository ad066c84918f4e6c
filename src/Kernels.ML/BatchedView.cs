using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>Data with the columns that a transformer adds, computed while they are read.</summary>
/// <remarks>
/// The vectors are read ahead by a cursor of their own, a batch at a time; the other columns come from a second cursor,
/// row by row. Cursors over the same data give the same rows in the same order.
/// </remarks>
internal sealed class BatchedView : IDataView
{
    private readonly RowTransformer _transformer;
    private readonly IDataView _input;
    private readonly DataViewSchema.Column _vectors;

    internal BatchedView(RowTransformer transformer, IDataView input)
    {
        _transformer = transformer;
        _input = input;
        _vectors = transformer.FindInput(input.Schema, nameof(input));
        Schema = transformer.GetOutputSchema(input.Schema);
    }

    // Two cursors over shuffled rows would disagree.
    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => _input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        int[] needed = [.. columnsNeeded.Select(c => c.Index)];
        bool[] active = new bool[Schema.Count];
        foreach (int index in needed)
        {
            active[index] = true;
        }

        int own = _input.Schema.Count;
        DataViewRowCursor rows = _input.GetRowCursor(_input.Schema.Where(c => active[c.Index]));
        return new Cursor(this, rows, needed.Any(i => i >= own) ? _input.GetRowCursor([_vectors]) : null, active);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor : DataViewRowCursor
    {
        private readonly BatchedView _view;
        private readonly DataViewRowCursor _rows;
        private readonly DataViewRowCursor? _ahead;
        private readonly ValueGetter<VBuffer<float>>? _vector;
        private readonly bool[] _active;
        private readonly bool[] _wanted;
        private readonly float[] _batch = [];
        private readonly RowResults? _results;
        private VBuffer<float> _buffer;
        private int _place;
        private int _count;
        private bool _isDisposed;

        internal Cursor(BatchedView view, DataViewRowCursor rows, DataViewRowCursor? ahead, bool[] active)
        {
            _view = view;
            _rows = rows;
            _ahead = ahead;
            _active = active;
            int own = view._input.Schema.Count;
            _wanted = active[own..];
            if (ahead is not null)
            {
                RowTransformer transformer = view._transformer;
                _vector = ahead.GetGetter<VBuffer<float>>(view._vectors);
                _batch = new float[transformer.BatchRows * transformer.InputLength];
                _results = new RowResults(transformer.Added, transformer.BatchRows);
            }
        }

        public override long Position => _rows.Position;

        public override long Batch => _rows.Batch;

        public override DataViewSchema Schema => _view.Schema;

        public override ValueGetter<DataViewRowId> GetIdGetter() => _rows.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

        public override bool MoveNext()
        {
            if (!_rows.MoveNext())
            {
                return false;
            }

            if (_ahead is not null && ++_place >= _count)
            {
                Read();
            }

            return true;
        }

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!_active[column.Index])
            {
                throw new ArgumentException($"The column '{column.Name}' was not asked for.", nameof(column));
            }

            int own = _view._input.Schema.Count;
            if (column.Index < own)
            {
                return _rows.GetGetter<TValue>(_view._input.Schema[column.Index]);
            }

            int index = column.Index - own;
            return Columns.Typed<TValue>(
                _results!.Getter(_view._transformer.Added[index], index, () => _place), column);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_isDisposed)
            {
                _isDisposed = true;
                _rows.Dispose();
                _ahead?.Dispose();
            }

            base.Dispose(disposing);
        }

        private void Read()
        {
            RowTransformer transformer = _view._transformer;
            int length = transformer.InputLength;
            _place = 0;
            _count = 0;
            while (_count < transformer.BatchRows && _ahead!.MoveNext())
            {
                _vector!(ref _buffer);
                Columns.CopyTo(_buffer, _batch.AsSpan(_count * length, length), transformer.InputColumnName);
                _count++;
            }

            if (_count == 0)
            {
                throw new InvalidOperationException("The data has other rows when it is read a second time.");
            }

            transformer.Map(_batch.AsSpan(0, _count * length), _count, _results!, _wanted);
        }
    }
}
