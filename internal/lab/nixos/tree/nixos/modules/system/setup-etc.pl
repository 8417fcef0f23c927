# Makes /etc follow a system's etc tree.
#
#   perl setup-etc.pl STORE/etc
#
# /etc/static becomes a link to the tree, and each file of the tree a link to
# its place below /etc/static (or a copy, where a mode is asked for). What an
# earlier tree had and this one lacks is removed. Files that no tree ever
# brought are never removed.
use strict;
use warnings;
use File::Path qw(make_path);

my $tree = shift @ARGV or die "usage: setup-etc.pl TREE\n";
my $etc = "/etc";
my $static = "$etc/static";
my $status = 0;

sub complain { print STDERR "setup-etc: @_\n"; $status = 1; }

# A link that replaces whatever file or link is there in one step.
sub place_link {
    my ($to, $name) = @_;
    my $new = "$name.tmp-etc";
    unlink $new;
    symlink($to, $new) or do { complain("cannot link $new: $!"); return 0; };
    return 1 if rename $new, $name;
    my $why = $!;
    unlink $new;
    # A file that the container engine mounted there cannot be replaced, only filled.
    if (-f $name && !-l $name && -f $to && fill($to, $name)) { return 1; }
    complain("cannot put $name in place: $why");
    return 0;
}

sub fill {
    my ($from, $name) = @_;
    open(my $in, '<', $from) or return 0;
    open(my $out, '>', $name) or return 0;
    local $/;
    print {$out} <$in> // '';
    return close($out);
}

sub first_line {
    my ($file) = @_;
    open(my $in, '<', $file) or return undef;
    my $line = <$in>;
    chomp $line if defined $line;
    return $line;
}

sub is_ours { my ($file) = @_; my $to = readlink $file; return defined $to && index($to, "$static/") == 0; }

# Paths of the tree: $leaf{"ssh/sshd_config"} = 1, folders are not listed.
my (%leaf, %dir);
sub walk {
    my ($rel) = @_;
    my $here = $rel eq '' ? $tree : "$tree/$rel";
    opendir(my $handle, $here) or die "setup-etc: cannot read $here: $!\n";
    for my $name (sort grep { $_ ne '.' && $_ ne '..' } readdir $handle) {
        my $path = $rel eq '' ? $name : "$rel/$name";
        if (-d "$tree/$path" && !-l "$tree/$path") { $dir{$path} = 1; walk($path); }
        else { $leaf{$path} = 1; }
    }
    closedir $handle;
}
walk('');
for my $path (keys %leaf) {
    next unless $path =~ /^(.*)\.(?:mode|uid|gid)$/;
    delete $leaf{$path} if $leaf{$1} && -e "$tree/$1.mode";
}

# Copies made by the last run.
my %old_copies;
if (open(my $in, '<', "$etc/.clean")) {
    while (my $line = <$in>) { chomp $line; $old_copies{$line} = 1; }
}

place_link($tree, $static) or exit 1;

# Links into /etc/static that lead nowhere now.
sub sweep {
    my ($folder) = @_;
    opendir(my $handle, $folder) or return;
    my @names = grep { $_ ne '.' && $_ ne '..' } readdir $handle;
    closedir $handle;
    for my $name (@names) {
        my $path = "$folder/$name";
        next if $path eq $static;
        if (-l $path) {
            next unless is_ours($path);
            my $rel = substr($path, length("$etc/"));
            next if $leaf{$rel};
            print STDERR "removing obsolete symlink '$path'...\n";
            unlink $path or complain("cannot remove $path: $!");
        }
        elsif (-d $path) {
            sweep($path);
            my $rel = substr($path, length("$etc/"));
            # An empty folder goes only if an earlier tree made it.
            rmdir $path if $old_copies{"$rel/"} && !$dir{$rel};
        }
    }
}
sweep($etc);

my %copies;
for my $path (sort keys %leaf) {
    my $target = "$etc/$path";
    (my $folder = $target) =~ s{/[^/]+$}{};
    if (!-d $folder) {
        # A link of an older tree where a folder is wanted now.
        unlink $folder if -l $folder;
        my @made = make_path($folder, { mode => 0755 });
        if (!-d $folder) { complain("cannot make $folder"); next; }
        $copies{ substr($_, length("$etc/")) . "/" } = 1 for @made;
    }
    my $mode = -e "$tree/$path.mode" ? first_line("$tree/$path.mode") : 'symlink';
    if (-d $target && !-l $target) {
        complain("$target is a folder with files of its own; left alone");
        next;
    }
    if ($mode eq 'symlink') {
        my $to = readlink $target;
        place_link("$static/$path", $target) unless defined $to && $to eq "$static/$path";
    }
    elsif ($mode eq 'direct-symlink') {
        my $real = readlink("$static/$path");
        place_link($real, $target) if defined $real;
        $copies{$path} = 1;
    }
    else {
        my $user = first_line("$tree/$path.uid");
        my $group = first_line("$tree/$path.gid");
        my $uid = $user =~ /^\+(\d+)$/ ? $1 : getpwnam($user);
        my $gid = $group =~ /^\+(\d+)$/ ? $1 : getgrnam($group);
        complain("no user $user, for $target"), next unless defined $uid;
        complain("no group $group, for $target"), next unless defined $gid;
        my $new = "$target.tmp-etc";
        if (!fill("$static/$path", $new)) { complain("cannot copy to $new: $!"); next; }
        chown $uid, $gid, $new or complain("cannot chown $new: $!");
        chmod oct($mode), $new or complain("cannot chmod $new: $!");
        rename $new, $target or complain("cannot put $target in place: $!");
        $copies{$path} = 1;
    }
}

for my $old (sort { length $b <=> length $a } keys %old_copies) {
    next if $copies{$old};
    if ($old =~ m{^(.*)/$}) {
        if ($dir{$1}) { $copies{$old} = 1; next; }
        $copies{$old} = 1 if -d "$etc/$1" && !rmdir "$etc/$1";
        next;
    }
    next if $leaf{$old} || -l "$etc/$old" && is_ours("$etc/$old");
    if (-e "$etc/$old" || -l "$etc/$old") {
        print STDERR "removing obsolete file '$etc/$old'...\n";
        unlink "$etc/$old" or complain("cannot remove $etc/$old: $!");
    }
}

my $list = "$etc/.clean.tmp-etc";
if (open(my $out, '>', $list)) {
    print {$out} "$_\n" for sort keys %copies;
    if (close $out) { rename $list, "$etc/.clean" or complain("cannot write $etc/.clean: $!"); }
}

# What tells tools that this is NixOS.
if (open(my $tag, '>>', "$etc/NIXOS")) { close $tag; }
exit $status;
