/** A queue of bytes in the pieces they came in: put at one end, take from the other, no copying while it lasts. */
export class ByteQueue {
  private pieces: Uint8Array[] = [];
  length = 0;

  put(data: Uint8Array): void {
    if (data.length === 0) return;
    this.pieces.push(data);
    this.length += data.length;
  }

  /** Up to `count` bytes from the front. */
  take(count: number): Uint8Array {
    const first = this.pieces[0];
    if (!first || count <= 0) return new Uint8Array(0);
    if (first.length > count) {
      this.pieces[0] = first.subarray(count);
      this.length -= count;
      return first.subarray(0, count);
    }
    if (this.pieces.length === 1 || first.length === count) {
      this.pieces.shift();
      this.length -= first.length;
      return first;
    }
    const out = new Uint8Array(Math.min(count, this.length));
    let at = 0;
    while (at < out.length) {
      const piece = this.pieces[0]!;
      const n = Math.min(piece.length, out.length - at);
      out.set(n === piece.length ? piece : piece.subarray(0, n), at);
      if (n === piece.length) this.pieces.shift();
      else this.pieces[0] = piece.subarray(n);
      at += n;
    }
    this.length -= at;
    return out;
  }
}
