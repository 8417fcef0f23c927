{ lib }:
rec {
  inherit (builtins)
    head tail length elem elemAt filter concatLists concatMap foldl' genList
    partition all any sort isList map groupBy;

  singleton = x: [ x ];
  forEach = xs: f: map f xs;
  foldr = f: zero: xs:
    let
      n = length xs;
      go = i: if i == n then zero else f (elemAt xs i) (go (i + 1));
    in
    go 0;
  fold = foldr;
  foldl = f: zero: xs:
    let
      go = i: if i == 0 then zero else f (go (i - 1)) (elemAt xs (i - 1));
    in
    go (length xs);
  imap0 = f: xs: genList (i: f i (elemAt xs i)) (length xs);
  imap1 = f: xs: genList (i: f (i + 1) (elemAt xs i)) (length xs);
  optional = cond: x: if cond then [ x ] else [ ];
  optionals = cond: xs: if cond then xs else [ ];
  toList = x: if isList x then x else [ x ];
  flatten = x: if isList x then concatMap flatten x else [ x ];
  remove = x: filter (y: y != x);
  findFirst = pred: fallback: xs:
    let found = filter pred xs; in if found == [ ] then fallback else head found;
  findSingle = pred: none: many: xs:
    let found = filter pred xs; in
    if found == [ ] then none else if length found > 1 then many else head found;
  count = pred: xs: length (filter pred xs);
  range = from: to: if from > to then [ ] else genList (i: from + i) (to - from + 1);
  replicate = n: x: genList (_: x) n;
  reverseList = xs:
    let n = length xs; in genList (i: elemAt xs (n - i - 1)) n;
  take = n: sublist 0 n;
  drop = n: xs: sublist n (length xs) xs;
  takeEnd = n: xs: drop (lib.max 0 (length xs - n)) xs;
  sublist = start: count: xs:
    let
      have = length xs;
      n = if start >= have then 0 else lib.min count (have - start);
    in
    genList (i: elemAt xs (start + i)) n;
  last = xs:
    assert lib.assertMsg (xs != [ ]) "lists.last: list must not be empty!";
    elemAt xs (length xs - 1);
  init = xs:
    assert lib.assertMsg (xs != [ ]) "lists.init: list must not be empty!";
    take (length xs - 1) xs;
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  uniqueStrings = xs: builtins.attrNames (builtins.listToAttrs (map (x: { name = x; value = null; }) xs));
  allUnique = xs: length (unique xs) == length xs;
  subtractLists = drop: filter (x: !(elem x drop));
  intersectLists = a: filter (x: elem x a);
  zipListsWith = f: a: b:
    genList (i: f (elemAt a i) (elemAt b i)) (lib.min (length a) (length b));
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });
  sortOn = f: sort (a: b: f a < f b);
  naturalSort = sort (a: b: builtins.compareVersions a b < 0);
  compareLists = cmp: a: b:
    if a == [ ] then (if b == [ ] then 0 else -1)
    else if b == [ ] then 1
    else
      let c = cmp (head a) (head b); in
      if c != 0 then c else compareLists cmp (tail a) (tail b);
  crossLists = f: foldl (fs: xs: concatMap (g: map g xs) fs) [ f ];
  mutuallyExclusive = a: b: !(any (x: elem x b) a);
  groupBy' = op: zero: pred: xs: builtins.mapAttrs (_: foldl op zero) (groupBy pred xs);
}
