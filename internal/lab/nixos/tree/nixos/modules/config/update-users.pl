# Makes /etc/passwd, group and shadow agree with the declared accounts.
#
#   perl update-users.pl TABLE MUTABLE
#
# Accounts that nothing ever declared stay (people's only if MUTABLE is 1), those
# that an earlier system declared and this one does not are removed. Ids once given to a name stay its own
# (/var/lib/nixos/ids), also after it is gone.
use strict;
use warnings;
use File::Path qw(make_path);

my ($table, $mutable) = @ARGV;
my $dry = ($ENV{NIXOS_ACTION} // '') eq 'dry-activate';
my $state = "/var/lib/nixos";
umask 0022;

sub lines {
    my ($file) = @_;
    open(my $in, '<', $file) or return ();
    my @lines = <$in>;
    chomp @lines;
    return @lines;
}

sub store {
    my ($file, $mode, @lines) = @_;
    my $text = join('', map { "$_\n" } @lines);
    return if join('', map { "$_\n" } lines($file)) eq $text && -e $file;
    if ($dry) { print STDERR "would update $file\n"; return; }
    my $new = "$file.new-users";
    open(my $out, '>', $new) or die "cannot write $new: $!\n";
    chmod $mode, $new;
    my $gid = (stat $file)[5];
    chown 0, $gid, $new if defined $gid;
    print {$out} $text or die "cannot write $new: $!\n";
    close $out or die "cannot write $new: $!\n";
    rename $new, $file or die "cannot replace $file: $!\n";
}

my (@users, @groups);
for my $line (lines($table)) {
    my ($kind, @f) = split /\t/, $line, -1;
    if ($kind eq 'group') { push @groups, { name => $f[0], gid => $f[1], members => [ split /,/, $f[2] ] }; }
    else {
        my %u;
        @u{qw(name uid group description home shell system createHome homeMode hash hashFile initialHash)} = @f;
        push @users, \%u;
    }
}

my (@passwd_order, %passwd, @group_order, %group, @shadow_order, %shadow);
for (lines("/etc/group"))  { my @f = split /:/, $_, -1; push @group_order, $f[0];  $group{$f[0]} = \@f; }
for (lines("/etc/passwd")) { my @f = split /:/, $_, -1; push @passwd_order, $f[0]; $passwd{$f[0]} = \@f; }
for (lines("/etc/shadow")) { my @f = split /:/, $_, -1; push @shadow_order, $f[0]; $shadow{$f[0]} = \@f; }

my (%known, %was);
for (lines("$state/ids")) { my ($k, $n, $id) = split; $known{$k}{$n} = $id; }
for (lines("$state/declared")) { my ($k, $n) = split; $was{$k}{$n} = 1; }

# The id of a name: given, the one it has, the one it had, the next free one.
sub allot {
    my ($kind, $name, $given, $present, $system, $used) = @_;
    my $id = $given ne '' ? $given : defined $present ? $present : $known{$kind}{$name};
    if (!defined $id) {
        my %reserved = (%$used, map { $_ => 1 } values %{ $known{$kind} || {} });
        my @range = $system ? reverse(400 .. 999) : (1000 .. 29999);
        ($id) = grep { !$reserved{$_} } @range;
        die "no free id for $kind $name\n" unless defined $id;
    }
    $used->{$id} = 1;
    $known{$kind}{$name} = $id;
    return $id;
}

my %gids = map { $group{$_}[2] => 1 } keys %group;
my %declared_group;
for my $g (@groups) {
    $declared_group{$g->{name}} = 1;
    my $old = $group{$g->{name}};
    my $gid = allot('group', $g->{name}, $g->{gid}, $old ? $old->[2] : undef, 1, \%gids);
    push @group_order, $g->{name} unless $old;
    my %members = map { $_ => 1 } @{ $g->{members} };
    $group{$g->{name}} = [ $g->{name}, 'x', $gid, join(',', sort keys %members) ];
}

my %uids = map { $passwd{$_}[2] => 1 } keys %passwd;
my %declared_user;
for my $u (@users) {
    my $name = $u->{name};
    $declared_user{$name} = 1;
    my $old = $passwd{$name};
    my $uid = allot('user', $name, $u->{uid}, $old ? $old->[2] : undef, $u->{system}, \%uids);
    my $gid = $group{ $u->{group} } ? $group{ $u->{group} }[2] : $u->{group} =~ /^\d+$/ ? $u->{group} : undef;
    if (!defined $gid) { print STDERR "warning: user '$name' has unknown group '$u->{group}'\n"; $gid = 65534; }
    print STDERR $dry ? "would create user $name\n" : "creating user $name\n" unless $old;
    push @passwd_order, $name unless $old;
    my $shell = $u->{shell} ne '' ? $u->{shell} : '/usr/sbin/nologin';
    $passwd{$name} = [ $name, 'x', $uid, $gid, $u->{description}, $u->{home}, $shell ];

    my $hash;
    if ($u->{hashFile} ne '') {
        ($hash) = lines($u->{hashFile});
        print STDERR "warning: password file '$u->{hashFile}' does not exist\n" unless defined $hash;
    }
    $hash = $u->{hash} if !defined $hash && $u->{hash} ne '';
    my $before = $shadow{$name};
    if (!$before) {
        push @shadow_order, $name;
        $hash = $u->{initialHash} ne '' ? $u->{initialHash} : '!' unless defined $hash;
        $shadow{$name} = [ $name, $hash, 1, '', '', '', '', '', '' ];
    }
    elsif (defined $hash) { $before->[1] = $hash; }

    if ($u->{createHome} && !-e $u->{home} && !$dry) {
        make_path($u->{home});
        chown $uid, $gid, $u->{home};
        chmod oct($u->{homeMode}), $u->{home};
    }
}

if (!$mutable) {
    for my $name (keys %passwd) {
        my $uid = $passwd{$name}[2];
        $was{user}{$name} = 1 if $uid >= 1000 && $uid < 30000;
    }
}
for my $name (sort keys %{ $was{user} || {} }) {
    next if $declared_user{$name} || $name eq 'root' || !$passwd{$name};
    print STDERR $dry ? "would remove user '$name'\n" : "removing user '$name'\n";
    delete $passwd{$name};
    delete $shadow{$name};
}
for my $name (sort keys %{ $was{group} || {} }) {
    next if $declared_group{$name} || $name eq 'root' || !$group{$name};
    print STDERR $dry ? "would remove group '$name'\n" : "removing group '$name'\n";
    delete $group{$name};
}

if (!$dry) {
    make_path($state);
    store("$state/ids", 0644, map { my $k = $_; map { "$k $_ $known{$k}{$_}" } sort keys %{ $known{$k} } } sort keys %known);
}
my (%seen_p, %seen_g, %seen_s);
store("/etc/group",  0644, map { join(':', @{ $group{$_} }) }  grep { $group{$_}  && !$seen_g{$_}++ } @group_order);
store("/etc/passwd", 0644, map { join(':', @{ $passwd{$_} }) } grep { $passwd{$_} && !$seen_p{$_}++ } @passwd_order);
store("/etc/shadow", 0640, map { join(':', @{ $shadow{$_} }) } grep { $shadow{$_} && !$seen_s{$_}++ } @shadow_order);
if (!$dry) {
    store("$state/declared", 0644,
        (map { "group $_" } sort keys %declared_group), (map { "user $_" } sort keys %declared_user));
}
