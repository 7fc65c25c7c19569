"""Variants from VCF files."""

from __future__ import annotations

from pathlib import Path

from fastdl import _check
from fastdl.files.sequences.bed import text_lines
from fastdl.sequences.variants import Variants

_BASES = frozenset("ACGTNacgtn")


def read_vcf(path: str | Path, *, sample: str | None = None, haplotype: int = 0) -> Variants:
    """Read the variants of a VCF file (plain, gzip or bgzip).

    Parameters
    ----------
    path : str or Path
        The file. Alleles that are not written in letters (<DEL>, *, breakends) are left out.
    sample : str, optional
        A sample of the file: its alleles are taken. Without one, every alternative allele is.
    haplotype : int
        Which allele of the sample's genotype, from 0: of 0|1 the first has none.

    Returns
    -------
    Variants
        In the order of the file; an alternative allele each.

    Raises
    ------
    FileError
        For a line that is no variant, or a sample that the file does not have.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastdl.files import read_vcf
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.vcf")
    >>> _ = path.write_text("##fileformat=VCFv4.2\\n#CHROM\\tPOS\\tID\\tREF\\tALT\\nchr1\\t8\\t.\\tA\\tT,<DEL>\\n")
    >>> found = read_vcf(path)
    >>> found.chroms, found.positions.tolist(), found.refs, found.alts
    (['chr1'], [7], ['A'], ['T'])
    """
    path = _check.existing(path)
    haplotype = _check.integer("haplotype", haplotype, 0)
    chroms, positions, refs, alts = [], [], [], []
    column = -1
    for number, line in enumerate(text_lines(path), 1):
        if line.startswith(b"#") or not line.strip():
            if line.startswith(b"#CHROM") and sample is not None:
                names = line.decode("utf-8", "replace").split("\t")
                if sample not in names[9:]:
                    raise _check.FileError(path, f"has no sample {sample!r}; it has {names[9:]}", line=number)
                column = names.index(sample, 9)
            continue
        fields = line.decode("utf-8", "replace").split("\t")
        if len(fields) < 5 or not (fields[1].isascii() and fields[1].isdigit()) or len(fields[1]) > 17:
            raise _check.FileError(path, "needs CHROM, POS, ID, REF and ALT, apart by tabs", line=number)
        chosen = fields[4].split(",")
        if sample is not None:
            chosen = _allele(path, number, fields, column, haplotype)
        for alt in chosen:
            if alt and _BASES.issuperset(alt) and _BASES.issuperset(fields[3]):
                if int(fields[1]) == 0:  # the telomere, where no letter is
                    raise _check.FileError(path, "has letters at position 0: places count from 1", line=number)
                chroms.append(fields[0])
                positions.append(int(fields[1]) - 1)
                refs.append(fields[3])
                alts.append(alt)
    return Variants(chroms, positions, refs, alts)


def _allele(path: Path, number: int, fields: list[str], column: int, haplotype: int) -> list[str]:
    """The alternative allele of a sample's haplotype, or none."""
    if not 9 <= column < len(fields) or "GT" not in fields[8].split(":"):
        raise _check.FileError(path, "has no genotype of the sample", line=number)
    genotype = fields[column].split(":")[fields[8].split(":").index("GT")].replace("|", "/").split("/")
    allele = genotype[haplotype] if haplotype < len(genotype) else "."
    alts = fields[4].split(",")
    if allele == "." or allele == "0":
        return []
    # No line holds alleles of more than nine digits, and int() refuses thousands of digits.
    if not (allele.isascii() and allele.isdigit() and len(allele) < 10) or not 1 <= int(allele) <= len(alts):
        raise _check.FileError(path, f"has no allele {allele[:20]!r}", line=number)
    return [alts[int(allele) - 1]]
