;; The weighted sums of the network: out[o, p] = bias[o] + Σ_k weight[o, k] rows[p, k]. All are float32, row by row, given
;; by where they begin in the memory. Four outputs at two positions at a time, four numbers of k at once, so that each
;; number that is fetched is used more than once. outs and length are multiples of 4; an odd last position is done twice.
(module
  (memory (export "memory") 1)

  (func $add (param $many v128) (param $one f32) (result f32) ;; the four numbers in `many`, and one
    (f32.add (local.get $one)
      (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $many)) (f32x4.extract_lane 1 (local.get $many)))
        (f32.add (f32x4.extract_lane 2 (local.get $many)) (f32x4.extract_lane 3 (local.get $many))))))

  (func $put (param $at i32) (param $there i32) (param $here_sum v128) (param $there_sum v128) (param $bias f32)
    (f32.store (local.get $at) (call $add (local.get $here_sum) (local.get $bias)))
    (f32.store (i32.add (local.get $at) (local.get $there)) (call $add (local.get $there_sum) (local.get $bias))))

  (func (export "product")
    (param $weight i32) (param $bias i32) (param $rows i32) (param $out i32)
    (param $outs i32) (param $positions i32) (param $length i32)
    (local $o i32) (local $p i32) (local $k i32) (local $next i32) (local $at i32) (local $row i32) (local $line i32)
    (local $w0 i32) (local $w1 i32) (local $w2 i32) (local $w3 i32) (local $here i32) (local $there i32)
    (local $x v128) (local $y v128) (local $w v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) ;; the sums of four outputs here …
    (local $e v128) (local $f v128) (local $g v128) (local $h v128) ;; … and there, at the next position
    (local.set $row (i32.shl (local.get $length) (i32.const 2))) ;; bytes from one row to the next
    (local.set $line (i32.shl (local.get $positions) (i32.const 2))) ;; bytes from one output to the next
    (loop $outputs
      (local.set $w0 (i32.add (local.get $weight) (i32.mul (local.get $o) (local.get $row))))
      (local.set $w1 (i32.add (local.get $w0) (local.get $row)))
      (local.set $w2 (i32.add (local.get $w1) (local.get $row)))
      (local.set $w3 (i32.add (local.get $w2) (local.get $row)))
      (local.set $p (i32.const 0))
      (loop $pairs
        (local.set $next (i32.lt_u (i32.add (local.get $p) (i32.const 1)) (local.get $positions))) ;; 1, or 0 at the end
        (local.set $here (i32.add (local.get $rows) (i32.mul (local.get $p) (local.get $row))))
        (local.set $there (i32.add (local.get $here) (i32.mul (local.get $next) (local.get $row))))
        (local.set $a (v128.const f32x4 0 0 0 0))
        (local.set $b (local.get $a)) (local.set $c (local.get $a)) (local.set $d (local.get $a))
        (local.set $e (local.get $a)) (local.set $f (local.get $a)) (local.set $g (local.get $a)) (local.set $h (local.get $a))
        (local.set $k (i32.const 0))
        (loop $terms
          (local.set $x (v128.load (i32.add (local.get $here) (local.get $k))))
          (local.set $y (v128.load (i32.add (local.get $there) (local.get $k))))
          (local.set $w (v128.load (i32.add (local.get $w0) (local.get $k))))
          (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $w) (local.get $x))))
          (local.set $e (f32x4.add (local.get $e) (f32x4.mul (local.get $w) (local.get $y))))
          (local.set $w (v128.load (i32.add (local.get $w1) (local.get $k))))
          (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $w) (local.get $x))))
          (local.set $f (f32x4.add (local.get $f) (f32x4.mul (local.get $w) (local.get $y))))
          (local.set $w (v128.load (i32.add (local.get $w2) (local.get $k))))
          (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $w) (local.get $x))))
          (local.set $g (f32x4.add (local.get $g) (f32x4.mul (local.get $w) (local.get $y))))
          (local.set $w (v128.load (i32.add (local.get $w3) (local.get $k))))
          (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $w) (local.get $x))))
          (local.set $h (f32x4.add (local.get $h) (f32x4.mul (local.get $w) (local.get $y))))
          (br_if $terms (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 16))) (local.get $row))))
        (local.set $at (i32.add (local.get $out)
          (i32.shl (i32.add (i32.mul (local.get $o) (local.get $positions)) (local.get $p)) (i32.const 2))))
        (local.set $next (i32.shl (local.get $next) (i32.const 2)))
        (local.set $k (i32.add (local.get $bias) (i32.shl (local.get $o) (i32.const 2))))
        (call $put (local.get $at) (local.get $next) (local.get $a) (local.get $e) (f32.load (local.get $k)))
        (local.set $at (i32.add (local.get $at) (local.get $line)))
        (call $put (local.get $at) (local.get $next) (local.get $b) (local.get $f) (f32.load offset=4 (local.get $k)))
        (local.set $at (i32.add (local.get $at) (local.get $line)))
        (call $put (local.get $at) (local.get $next) (local.get $c) (local.get $g) (f32.load offset=8 (local.get $k)))
        (local.set $at (i32.add (local.get $at) (local.get $line)))
        (call $put (local.get $at) (local.get $next) (local.get $d) (local.get $h) (f32.load offset=12 (local.get $k)))
        (br_if $pairs (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 2))) (local.get $positions))))
      (br_if $outputs (i32.lt_u (local.tee $o (i32.add (local.get $o) (i32.const 4))) (local.get $outs))))))
