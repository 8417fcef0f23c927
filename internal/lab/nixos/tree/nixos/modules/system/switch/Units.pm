# Unit files and fstab as a switch sees them: what they say, and whether two
# texts of one unit differ in a way that matters.
package Units;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(slurp real parse_unit drop_ins flag_of compare_units template_of read_fstab);

sub slurp { my ($file) = @_; open(my $in, '<', $file) or return undef; local $/; return scalar <$in>; }

# What a path leads to in the end; undef when that is nowhere.
sub real {
    my ($path) = @_;
    for (1 .. 40) {
        my $to = readlink $path;
        if (!defined $to) {
            return undef unless -e $path;
            return $path;
        }
        if ($to =~ m{^/}) { $path = $to; }
        else { (my $dir = $path) =~ s{/[^/]*$}{}; $path = "$dir/$to"; }
    }
    return undef;
}

# foo@.service of foo@bar.service
sub template_of { my ($name) = @_; return $name =~ /^([^@]+@).+(\.[a-z]+)$/ ? "$1$2" : undef; }

# { section => { key => [values] } } of a unit: its file and its drop-ins.
sub parse_file {
    my ($unit, $file) = @_;
    my $text = slurp($file);
    return unless defined $text;
    $text =~ s/\\\n/ /g;
    my $section = '';
    for my $line (split /\n/, $text) {
        next if $line =~ /^\s*(?:[#;].*)?$/;
        if ($line =~ /^\s*\[(.*)\]\s*$/) { $section = $1; $unit->{$section} //= {}; next; }
        next if $section eq 'Install';
        my ($key, $value) = $line =~ /^\s*([^=]+?)\s*=\s*(.*?)\s*$/ or next;
        if ($value eq '') { $unit->{$section}{$key} = []; }
        else { push @{ $unit->{$section}{$key} }, $value; }
    }
}
sub parse_unit {
    my ($file, @drop_ins) = @_;
    my %unit;
    parse_file(\%unit, $file) if defined $file;
    parse_file(\%unit, $_) for @drop_ins;
    delete $unit{Install};
    for my $section (keys %unit) {
        for my $key (keys %{ $unit{$section} }) {
            delete $unit{$section}{$key} unless @{ $unit{$section}{$key} };
        }
    }
    return \%unit;
}
sub drop_ins {
    my ($dir, $name) = @_;
    opendir(my $handle, "$dir/$name.d") or return ();
    my @files = map { "$dir/$name.d/$_" } sort grep { /\.conf$/ } readdir $handle;
    closedir $handle;
    return @files;
}

sub flag_of {
    my ($unit, $section, $key, $default) = @_;
    my $values = $unit->{$section}{$key} or return $default;
    return $values->[-1] =~ /^(?:1|yes|true|on)$/ ? 1 : 0;
}

my %ignored = map { $_ => 1 } qw(
    X-Reload-Triggers Description Documentation OnFailure OnSuccess OnFailureJobMode
    IgnoreOnIsolate StopWhenUnneeded RefuseManualStart RefuseManualStop AllowIsolate
    CollectMode SourcePath
);

# 'equal', 'reload' or 'restart'
sub compare_units {
    my ($old, $new) = @_;
    my $verdict = 'equal';
    my %sections = map { $_ => 1 } keys %$old, keys %$new;
    for my $section (keys %sections) {
        if (!$old->{$section} || !$new->{$section}) {
            # A [Unit] that says nothing but what is ignored may come and go.
            my $only = $old->{$section} // $new->{$section};
            next if $section eq 'Unit' && !grep { !$ignored{$_} } keys %$only;
            return 'restart' unless $section eq 'Unit';
        }
        my ($o, $n) = ($old->{$section} // {}, $new->{$section} // {});
        my %keys = map { $_ => 1 } keys %$o, keys %$n;
        for my $key (keys %keys) {
            my $before = join("\n", @{ $o->{$key} // [] });
            my $after = join("\n", @{ $n->{$key} // [] });
            next if $before eq $after;
            if ($section eq 'Unit' && $ignored{$key}) {
                $verdict = 'reload' if $key eq 'X-Reload-Triggers' && $after ne '';
                next;
            }
            if ($section eq 'Mount' && $key eq 'Options') { $verdict = 'reload'; next; }
            if ($section eq 'Service' && $key eq 'ExecReload') {
                $verdict = 'reload' if $after ne '';
                next;
            }
            return 'restart';
        }
    }
    return $verdict;
}

# mounts by mount point, and the set of swaps
sub read_fstab {
    my ($file) = @_;
    my (%mounts, %swaps);
    for my $line (split /\n/, slurp($file) // '') {
        $line =~ s/^\s+//;
        next if $line eq '' || $line =~ /^#/;
        my ($device, $where, $type, $options) = split /\s+/, $line;
        next unless defined $type;
        if ($type eq 'swap') { $swaps{$device} = 1; }
        else { $mounts{$where} = { device => $device, type => $type, options => $options // '' }; }
    }
    return (\%mounts, \%swaps);
}

1;
